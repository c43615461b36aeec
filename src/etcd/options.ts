import { show } from '../state/show.js'

/** How to reach an etcd that asks for more than its address. */
export interface EtcdOptions {
  /** The certificates of the authorities to trust, in PEM, instead of the system's. For `etcds://`. */
  readonly ca?: string | Uint8Array
  /** The client's certificate in PEM, for an etcd with `--client-cert-auth`; with `key`. It must not have a CN. */
  readonly cert?: string | Uint8Array
  /** The client's private key in PEM. */
  readonly key?: string | Uint8Array
  /** A user of etcd; with `password`. */
  readonly user?: string
  /** The user's password; with `user`. */
  readonly password?: string
}

const FOR_TLS = ['ca', 'cert', 'key'] as const
const NAMES: readonly string[] = [...FOR_TLS, 'user', 'password'] satisfies (keyof EtcdOptions)[]

/** @throws TypeError for an option that is not known, of a wrong type, or without the one that it needs */
export function checkEtcdOptions(given: unknown, tls: boolean): EtcdOptions {
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null) throw new TypeError('the etcd options must be an object')
  const options = given as Readonly<Record<string, unknown>>
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw new TypeError(`there is no etcd option ${show(name)}`)
  }
  for (const name of FOR_TLS) {
    const value = options[name]
    if (value === undefined) continue
    if (typeof value !== 'string' && !(value instanceof Uint8Array))
      throw new TypeError(`${name} must be PEM`)
    if (!tls) throw new TypeError(`${name} is for etcds://, which is etcd over TLS`)
  }
  for (const name of ['user', 'password']) {
    const value = options[name]
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '') throw new TypeError(`the etcd ${name} must be a text`)
  }
  requireBoth(options, 'cert', 'key')
  requireBoth(options, 'user', 'password')
  return { ...options }
}

function requireBoth(options: Readonly<Record<string, unknown>>, one: string, other: string): void {
  if ((options[one] === undefined) !== (options[other] === undefined)) {
    throw new TypeError(`the etcd options ${one} and ${other} are given together`)
  }
}
