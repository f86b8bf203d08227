import { Button } from "@/components/ui/button";
import { ProblemPanel } from "@/components/problem-panel";

interface LoadMoreProps {
  query: {
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    isFetchNextPageError: boolean;
    error: Error | null;
    fetchNextPage: () => Promise<unknown>;
  };
}

/** Below a list that has more. */
export function LoadMore({ query }: LoadMoreProps) {
  if (query.isFetchNextPageError) return <ProblemPanel error={query.error} onRetry={() => void query.fetchNextPage()} />;
  if (!query.hasNextPage) return null;
  return (
    <div className="px-4 py-3">
      <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {query.isFetchingNextPage ? "Loading" : "Load more"}
      </Button>
    </div>
  );
}
