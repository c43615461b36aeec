/**
 * The `cgroupPath` that goes with a `blockIndex`: every part of it tells whose and which it is, so that a file put
 * together of two cannot pass for one. Every seventh is longer than a block of a disk.
 */
export function cgroupPathOf(id, blockIndex) {
  const word = `/${id}/${blockIndex}`
  return word.repeat(blockIndex % 7 === 0 ? 800 : 1 + (blockIndex % 5))
}
