import { readFileSync } from 'node:fs'
import { ioError } from '../errno.js'
import type { StoreOptions } from '../store.js'

type EtcdOptions = NonNullable<StoreOptions['etcd']>

/**
 * What etcdctl(1)'s own variables say: `ETCDCTL_USER` (`NAME` or `NAME:PASSWORD`) and `ETCDCTL_PASSWORD`; over TLS
 * also `ETCDCTL_CACERT`, `ETCDCTL_CERT` and `ETCDCTL_KEY`, which name files. For the command, whose arguments
 * everybody on the machine can read.
 * @throws StateStoreError `IO_ERROR` for a file that cannot be read
 */
export function etcdOptionsFrom(env: NodeJS.ProcessEnv, root: string): EtcdOptions {
  const { ETCDCTL_USER: given = '', ETCDCTL_PASSWORD, ...files } = env
  const colon = ETCDCTL_PASSWORD === undefined ? given.indexOf(':') : -1
  const user = colon === -1 ? given : given.slice(0, colon)
  const password = colon === -1 ? ETCDCTL_PASSWORD : given.slice(colon + 1)
  return {
    ...(user === '' ? {} : { user, ...(password === undefined ? {} : { password }) }),
    ...(/^etcds:/i.test(root) ? certificatesIn(files) : {}),
  }
}

function certificatesIn({ ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY }: NodeJS.ProcessEnv): EtcdOptions {
  return {
    ...(ETCDCTL_CACERT ? { ca: read(ETCDCTL_CACERT) } : {}),
    ...(ETCDCTL_CERT ? { cert: read(ETCDCTL_CERT) } : {}),
    ...(ETCDCTL_KEY ? { key: read(ETCDCTL_KEY) } : {}),
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw ioError(error, 'read', undefined, path)
  }
}
