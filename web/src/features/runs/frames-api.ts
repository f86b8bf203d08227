import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ListCallsData,
  ListCallsResponse,
  ListFramesData,
  ListFramesResponse,
  ListStepsData,
  ListStepsResponse,
} from '@/api/generated/types.gen'
import type { FrameStatus } from '@/components/faces'
import { runKeys } from './keys'

/** Numbers of one page of items; pages are asked for as they come into view, wherever that is. */
export const FRAMES_A_PAGE = 100
const CALLS_SHOWN = 200

const fetchFrames = (
  runId: string,
  stepId: string,
  query: NonNullable<ListFramesData['query']>,
  signal: AbortSignal,
) =>
  request<ListFramesData, ListFramesResponse>('GET', '/api/v1/runs/{run_id}/steps/{step_id}/frames', {
    path: { run_id: runId, step_id: stepId },
    query: { limit: FRAMES_A_PAGE, ...query },
    signal,
  })

/** A page of all items or passes of a step. Their numbers have no gaps, so that any page can be asked for at once. */
export const framesPageQuery = (runId: string, stepId: string, first: number, page: number) =>
  queryOptions({
    queryKey: [...runKeys.frames(runId, stepId), 'page', page],
    queryFn: ({ signal }) => {
      const before = first + page * FRAMES_A_PAGE - 1
      return fetchFrames(runId, stepId, before < 0 ? {} : { after: before }, signal)
    },
  })

/** The items or passes that stand so, page by page. */
export const framesOfStatusQuery = (runId: string, stepId: string, status: FrameStatus) =>
  infiniteQueryOptions({
    queryKey: [...runKeys.frames(runId, stepId), 'status', status],
    queryFn: ({ pageParam, signal }) =>
      fetchFrames(runId, stepId, { status, ...(pageParam === null ? {} : { after: pageParam }) }, signal),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.next_cursor === null ? null : Number(page.next_cursor)),
  })

/** One item or pass. */
export const frameQuery = (runId: string, stepId: string, no: number) =>
  queryOptions({
    queryKey: [...runKeys.frames(runId, stepId), 'one', no],
    queryFn: async ({ signal }) => {
      const page = await fetchFrames(
        runId,
        stepId,
        { limit: 1, ...(no > 0 ? { after: no - 1 } : {}) },
        signal,
      )
      return page.items.find((frame) => frame.no === no) ?? null
    },
  })

/** The steps of one item or pass. */
export const frameStepsQuery = (runId: string, stepId: string, no: number) =>
  queryOptions({
    queryKey: [...runKeys.frames(runId, stepId), 'steps', no],
    queryFn: ({ signal }) =>
      request<ListStepsData, ListStepsResponse>('GET', '/api/v1/runs/{run_id}/steps', {
        path: { run_id: runId },
        query: { parent: stepId, frame: no },
        signal,
      }),
  })

/** The calls of one step: those of a run are too many to have all. */
export const stepCallsQuery = (runId: string, stepId: string) =>
  queryOptions({
    queryKey: runKeys.stepCalls(runId, stepId),
    queryFn: ({ signal }) =>
      request<ListCallsData, ListCallsResponse>('GET', '/api/v1/runs/{run_id}/calls', {
        path: { run_id: runId },
        query: { step: stepId, limit: CALLS_SHOWN },
        signal,
      }),
  })
