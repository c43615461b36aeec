import { Buffer } from 'node:buffer'
import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { EtcdOptions } from './options.js'

/**
 * Whom to trust and who we are, for every connection to a member.
 * @throws TypeError when it is no PEM, or the key is not the certificate's
 */
export function secureContext({ ca, cert, key }: EtcdOptions): SecureContext {
  try {
    // An authority that is no certificate is otherwise passed over in silence.
    if (ca !== undefined) new X509Certificate(ca)
    return createSecureContext({ ca: bufferOf(ca), cert: bufferOf(cert), key: bufferOf(key) })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`the etcd options ca, cert and key cannot be used: ${reason}`, { cause })
  }
}

function bufferOf(pem: string | Uint8Array | undefined): Buffer | undefined {
  return pem === undefined ? undefined : Buffer.from(pem)
}
