import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate and its key, in files. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** An authority that nobody else trusts; makes certificates for 127.0.0.1 with openssl(1). */
export class Authority {
  readonly ca: Certificate

  constructor(private readonly folder: string) {
    this.ca = certificate(join(folder, 'ca'))
    const { certFile, keyFile } = this.ca
    openssl(
      'req',
      '-x509',
      ...KEY,
      '-keyout',
      keyFile,
      '-out',
      certFile,
      '-days',
      '2',
      '-subj',
      '/O=ca/CN=ca',
    )
  }

  /** @param subject such as `/O=x` or `/O=x/CN=name` */
  issue(name: string, subject: string): Certificate {
    const base = join(this.folder, name)
    writeFileSync(`${base}.ext`, 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
    openssl('req', ...KEY, '-keyout', `${base}.key`, '-out', `${base}.csr`, '-subj', subject)
    const signer = ['-CA', this.ca.certFile, '-CAkey', this.ca.keyFile, '-CAcreateserial']
    const signed = ['-out', `${base}.pem`, '-days', '2', '-extfile', `${base}.ext`]
    openssl('x509', '-req', '-in', `${base}.csr`, ...signer, ...signed)
    return certificate(base)
  }
}

function certificate(base: string): Certificate {
  return {
    certFile: `${base}.pem`,
    keyFile: `${base}.key`,
    get cert() {
      return readFileSync(`${base}.pem`, 'utf8')
    },
    get key() {
      return readFileSync(`${base}.key`, 'utf8')
    },
  }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'ignore'] })
}
