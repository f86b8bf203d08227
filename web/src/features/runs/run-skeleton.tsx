import { Skeleton, SkeletonRows } from '@/components/states'

/** The shape of a run's page while it is asked for. */
export function RunSkeleton() {
  return (
    <div className="bg-surface">
      <div className="appear-late grid gap-3 border-b border-line p-4">
        <Skeleton className="h-5 w-64" />
        <Skeleton className="w-96" />
      </div>
      <SkeletonRows rows={20} height={26} />
    </div>
  )
}
