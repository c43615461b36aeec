import { quoted } from '../state/show.js'

/** Where a store on etcd is. */
export interface EtcdAddress {
  /** Such as `https://10.0.0.1:2379`; without duplicates, in the order given. */
  readonly origins: readonly string[]
  readonly tls: boolean
  /** The beginning of every key, such as `/sandbox-state`, without a slash at its end. */
  readonly prefix: string
}

const ADDRESS = /^(etcds?):\/\/([^/?#]*)(\/[^?#]*)?$/i
const PREFIX = /^(\/(?!\.{1,2}(\/|$))[\w.-]+){1,16}$/

/**
 * Parses `etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]`; `etcds://` is the same over TLS. The port defaults to 2379,
 * the prefix to `/sandbox-state`.
 * @throws TypeError when it is malformed; a password in it is not repeated
 */
export function parseAddress(root: string): EtcdAddress {
  const [, scheme = '', hosts = '', path = ''] = ADDRESS.exec(root) ?? []
  if (root.includes('@')) {
    const other = 'pass them as options, or to the command in $ETCDCTL_USER'
    throw new TypeError(`an etcd address cannot contain a user or password: ${other}`)
  }
  const tls = scheme.toLowerCase() === 'etcds'
  const origins = hosts.split(',').map(host => {
    const origin = originOf(host, tls)
    if (scheme !== '' && origin !== undefined) return origin
    throw new TypeError(`${quoted(root)} is not an address such as etcd://host:2379,host2:2379/prefix`)
  })
  const prefix = path.replace(/\/+$/, '') || '/sandbox-state'
  if (!PREFIX.test(prefix) || prefix.length > 256) {
    const rule = 'it must be names of letters, digits, "_", "." and "-", separated by "/"'
    throw new TypeError(`${quoted(prefix)} cannot be a prefix on etcd: ${rule}`)
  }
  return { origins: [...new Set(origins)], tls, prefix }
}

/** Accepts every host that a URL accepts, an IPv6 address in brackets too. */
function originOf(host: string, tls: boolean): string | undefined {
  // Parsed with the scheme etcd, because a URL drops the default port of its own scheme, and ours is another.
  const url = URL.canParse(`etcd://${host}`) ? new URL(`etcd://${host}`) : undefined
  if (url === undefined || url.hostname === '' || url.port === '0') return undefined
  const origin = `${tls ? 'https' : 'http'}://${url.hostname}:${url.port || 2379}`
  // http accepts fewer hosts than an unknown scheme: not 10.0.0.256.
  return URL.canParse(origin) ? origin : undefined
}
