/** Everything that an async iterable, or a promise of a list, gives. */
export async function all(items) {
  const list = []
  for await (const item of await items) list.push(item)
  return list
}
