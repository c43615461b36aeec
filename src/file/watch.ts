import type { Sighting } from '../backend.js'

export async function* watchFiles(
  _root: string,
  _id: string | undefined,
  _signal: AbortSignal,
): AsyncGenerator<Sighting> {}
