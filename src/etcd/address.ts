import { quoted } from '../state/show.js'

/** Where a store on etcd is. */
export interface EtcdAddress {
  /** Such as `https://10.0.0.1:2379`; each once, in the order in which they were given. */
  readonly origins: readonly string[]
  /** What every key begins with, such as `/sandbox-state`, without a slash at its end. */
  readonly prefix: string
}

const DEFAULT_PORT = '2379'
const DEFAULT_PREFIX = '/sandbox-state'
const ADDRESS = /^(etcds?):\/\/([^/?#]*)(\/[^?#]*)?$/i
const PREFIX = /^(\/(?!\.{1,2}(\/|$))[\w.-]+){1,16}$/
const LONGEST_PREFIX = 256

/**
 * Reads `etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]`; `etcds://` is the same over TLS. The port is 2379 and the
 * prefix `/sandbox-state` where they are left out.
 * @throws TypeError when it is something else; a password that stands in it is not repeated
 */
export function parseAddress(root: string): EtcdAddress {
  const [, scheme = '', hosts = '', path = ''] = ADDRESS.exec(root) ?? []
  if (root.includes('@')) {
    throw new TypeError('an etcd address takes no user and no password: give them as options')
  }
  const tls = scheme.toLowerCase() === 'etcds'
  const origins = hosts.split(',').map(host => {
    const origin = originOf(host, tls)
    if (scheme === '' || origin === undefined) throw notAnAddress(root)
    return origin
  })
  const prefix = path.replace(/\/+$/, '') || DEFAULT_PREFIX
  if (!PREFIX.test(prefix) || prefix.length > LONGEST_PREFIX) {
    const rule = 'names of letters, digits, "_", "." and "-", with "/" between them'
    throw new TypeError(`${quoted(prefix)} cannot be a prefix on etcd: it is made of ${rule}`)
  }
  return { origins: [...new Set(origins)], prefix }
}

/** The host is whatever a URL takes for one, an IPv6 address in brackets too. */
function originOf(host: string, tls: boolean): string | undefined {
  // The scheme's own port would be left out of the URL; ours is another.
  const url = URL.canParse(`etcd://${host}`) ? new URL(`etcd://${host}`) : undefined
  if (url === undefined || url.hostname === '' || url.port === '0') return undefined
  const origin = `${tls ? 'https' : 'http'}://${url.hostname}:${url.port || DEFAULT_PORT}`
  // HTTP takes fewer hosts than a scheme that URLs know nothing of: not 10.0.0.256.
  return URL.canParse(origin) ? origin : undefined
}

function notAnAddress(root: string): TypeError {
  return new TypeError(`${quoted(root)} is not an address such as etcd://host:2379,host2:2379/prefix`)
}
