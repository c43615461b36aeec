import { readFileSync } from 'node:fs'
import { ioError } from '../errno.js'
import type { StoreOptions } from '../store-types.js'

/**
 * What etcdctl(1)'s own variables say: `ETCDCTL_USER` (`NAME` or `NAME:PASSWORD`) and `ETCDCTL_PASSWORD`; over TLS
 * also `ETCDCTL_CACERT`, `ETCDCTL_CERT` and `ETCDCTL_KEY`, which name files. For the command, whose arguments
 * everybody on the machine can read.
 * @throws StateStoreError `IO_ERROR` for a file that cannot be read
 */
export function etcdOptionsFrom(env: NodeJS.ProcessEnv, root: string): NonNullable<StoreOptions['etcd']> {
  const { ETCDCTL_USER: given = '', ETCDCTL_PASSWORD, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY } = env
  const colon = ETCDCTL_PASSWORD === undefined ? given.indexOf(':') : -1
  const user = colon === -1 ? given : given.slice(0, colon)
  const password = colon === -1 ? ETCDCTL_PASSWORD : given.slice(colon + 1)
  const files = /^etcds:/i.test(root) ? { ca: ETCDCTL_CACERT, cert: ETCDCTL_CERT, key: ETCDCTL_KEY } : {}
  const read = Object.entries(files).flatMap(([name, path]) => (path ? [[name, textOf(path)]] : []))
  return {
    ...(user === '' ? {} : { user, ...(password !== undefined && { password }) }),
    ...Object.fromEntries(read),
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw ioError(error, 'read', undefined, path)
  }
}
