import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EtcdOptions, SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { all } from '../support/all.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { base64, describeEtcd, LONGER_THAN_A_TEST, program, TestEtcd } from '../support/etcd.js'
import { openTestStore } from '../support/store.js'
import { PATIENCE } from '../support/wait.js'

const missing = program('openssl') === undefined ? ' (skipped: no openssl on the PATH)' : ''

describeEtcd(`an etcd with TLS and users${missing}`, () => {
  describe.skipIf(missing !== '')('and client certificates', () => {
    let folder: string
    let etcd: TestEtcd
    let authority: Authority
    let client: Certificate
    let named: Certificate

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sandbox-state-tls-'))
      authority = new Authority(folder)
      const server = authority.issue('server', '/O=test')
      client = authority.issue('client', '/O=test')
      named = authority.issue('named', '/O=test/CN=keeper')
      const files = ['--cert-file', server.certFile, '--key-file', server.keyFile]
      etcd = await TestEtcd.start(1, [
        ...files,
        '--client-cert-auth',
        '--trusted-ca-file',
        authority.ca.certFile,
      ])
      await vi.waitFor(() => ask('kv/range', { key: 'AA==' }), PATIENCE)
      for (const name of ['root', 'keeper']) {
        await ask('auth/user/add', { name, password: `${name} password` })
        await ask('auth/role/add', { name })
        await ask('auth/user/grant', { user: name, role: name })
      }
      const perm = { permType: 'READWRITE', key: base64('/mine/'), range_end: base64('/mine0') }
      await ask('auth/role/grant', { name: 'keeper', perm })
      await ask('auth/enable', {})
    })
    afterAll(async () => {
      await etcd?.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    function ask(path: string, message: object, token?: string): Promise<string> {
      const { cert, key } = client
      const headers = token === undefined ? {} : { authorization: token }
      const options = { method: 'POST', ca: authority.ca.cert, cert, key, agent: false, headers }
      return new Promise((resolve, reject) => {
        const asked = request(`${etcd.member.origin}/v3/${path}`, options, response => {
          let text = ''
          response.on('data', chunk => {
            text += chunk
          })
          response.on('end', () => {
            if (response.statusCode === 200) resolve(text)
            else reject(new Error(`${path}: ${response.statusCode} ${text}`))
          })
        })
        asked.on('error', reject)
        asked.end(JSON.stringify(message))
      })
    }

    async function open(options: EtcdOptions, prefix = '/mine'): Promise<SandboxStore> {
      return openTestStore(`etcds://${etcd.hosts}${prefix}`, {
        etcd: options,
        lockTimeout: LONGER_THAN_A_TEST,
      })
    }

    const tls = () => ({ ca: authority.ca.cert, cert: client.cert, key: Buffer.from(client.key) })
    const keeper = { user: 'keeper', password: 'keeper password' }
    const failed = { name: 'StateStoreError', code: 'IO_ERROR' }

    test('lets in a client that has all three, also for a watch, and again after its token was forgotten', async () => {
      const store = await open({ ...tls(), ...keeper })
      const reader = await open({ ...tls(), ...keeper })
      await store.create('a')
      await reader.read('a')
      await store.transition('a', 'ready', 'running')
      const events = store.watch()
      expect((await events.next()).value).toMatchObject({ type: 'created', id: 'a' })
      await etcd.member.kill()
      etcd.member.start()
      const next = events.next()
      await store.transition('a', 'running', 'paused')
      expect((await next).value).toMatchObject({ type: 'changed', state: { state: 'paused' } })
      expect(await all(store.list())).toHaveLength(1)
      // A new password, even the same one, makes etcd forget the tokens that were given for the old one.
      const root = await ask('auth/authenticate', { name: 'root', password: 'root password' })
      await ask('auth/user/changepw', { name: 'keeper', password: keeper.password }, JSON.parse(root).token)
      expect((await reader.read('a')).state).toBe('paused')
      await store.delete('a')
      await events.return()
    })

    test('says that a password is wrong, and does not repeat it', async () => {
      const store = await open({ ...tls(), user: 'keeper', password: 'wrong secret' })
      const error = await store.read('a').catch((error: unknown) => error)
      expect(error).toMatchObject(failed)
      expect(String(error)).toContain('authentication failed')
      expect(String(error)).not.toContain('secret')
      await expect(store.watch().next()).rejects.toMatchObject(failed)
    })

    test.each(['/others', '/min', '/'])(
      'keeps a user out of a store that is not theirs: %s',
      async prefix => {
        const store = await open({ ...tls(), ...keeper }, prefix)
        const denied = { ...failed, message: expect.stringContaining('permission denied') }
        await expect(store.read('a')).rejects.toMatchObject(denied)
        await expect(store.create('a')).rejects.toMatchObject(denied)
        await expect(store.list().next()).rejects.toMatchObject(denied)
        await expect(store.watch().next()).rejects.toMatchObject(denied)
      },
    )

    test('refuses a client that names no user', async () => {
      const store = await open(tls())
      const message = expect.stringMatching(/user name is empty|permission denied/)
      await expect(store.read('a')).rejects.toMatchObject({ ...failed, message })
    })

    test('is not trusted without its authority, which is an error at once', async () => {
      const { cert, key } = tls()
      const store = await open({ cert, key, ...keeper })
      const message = expect.stringContaining('certificate')
      await expect(store.create('a')).rejects.toMatchObject({ ...failed, message })
    })

    test('takes no client without a certificate, and says so', async () => {
      const store = await open({ ca: authority.ca.cert, ...keeper })
      const message = expect.stringMatching(/certificate/i)
      await expect(store.create('a')).rejects.toMatchObject({ ...failed, message })
    })

    test('takes no client whose certificate has a CN, and says so', async () => {
      const store = await open({ ca: authority.ca.cert, cert: named.cert, key: named.key, ...keeper })
      const message = expect.stringContaining('CommonName')
      await expect(store.create('a')).rejects.toMatchObject({ ...failed, message })
    })
  })
})
