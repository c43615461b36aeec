import { show } from './state/show.js'

/**
 * Whether a root means a store on etcd, well-formed or not, such as `etcd:127.0.0.1`; otherwise it is the path of a folder.
 * A folder with such a name can be written as `./etcd:x`.
 */
export function isEtcdRoot(root: string): boolean {
  return /^etcds?:/i.test(root)
}

/** @throws TypeError when it is neither a path nor an address of etcd */
export function assertRoot(root: unknown): asserts root is string {
  if (typeof root !== 'string') throw new TypeError(`the root must be a path, as a string, not ${show(root)}`)
  if (root === '' || root.includes('\0')) throw new TypeError(`${JSON.stringify(root)} is not a path`)
  if (/^[a-z]+:\/\//i.test(root) && !isEtcdRoot(root)) {
    throw new TypeError(
      `${JSON.stringify(root)}: the root must be a path, or an address such as etcd://host:2379`,
    )
  }
}
