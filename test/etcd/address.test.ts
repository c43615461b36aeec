import { runInNewContext } from 'node:vm'
import { openStore, type StoreOptions } from 'sandbox-state'
import { expect, test } from 'vitest'
import { parseAddress } from '#src/etcd/address.js'
import { Keys } from '#src/etcd/keys.js'

test.each<[string, string[], string]>([
  ['etcd://localhost', ['http://localhost:2379'], '/sandbox-state'],
  ['etcd://localhost/', ['http://localhost:2379'], '/sandbox-state'],
  ['etcd://127.0.0.1:80/a', ['http://127.0.0.1:80'], '/a'],
  ['etcds://h:443/a/b_c.d-e/', ['https://h:443'], '/a/b_c.d-e'],
  ['ETCD://a:1,b:2,c/x', ['http://a:1', 'http://b:2', 'http://c:2379'], '/x'],
  ['etcd://a,a:2379', ['http://a:2379'], '/sandbox-state'],
  ['etcds://[::1]:9,[fe80::1]/p', ['https://[::1]:9', 'https://[fe80::1]:2379'], '/p'],
])('the root %s is at %j below %s', (root, origins, prefix) => {
  expect(parseAddress(root)).toEqual({ origins, tls: /^etcds/.test(root), prefix })
})

test.each<[string, StoreOptions]>([
  ['etcd://', {}],
  ['etcd:///prefix', {}],
  ['etcd://a,,b', {}],
  ['etcd://a:0', {}],
  ['etcd://a:70000', {}],
  ['etcd://10.0.0.256', {}],
  ['etcd://a,%00/x', {}],
  ['etcd://a b', {}],
  ['etcd://a/x?y', {}],
  ['etcd://a/x#y', {}],
  ['etcd://a/../b', {}],
  ['etcd://a/x//y', {}],
  ['etcd://a/x y', {}],
  ['etcd://a/\u0000', {}],
  ['etcd://a/é', {}],
  [`etcd://a/${'x'.repeat(300)}`, {}],
  ['etcd://user:secret@a/x', {}],
  ['etcd://a', { etcd: 1 as never }],
  ['etcd://a', { etcd: { pasword: 'x' } as never }],
  ['etcd://a', { etcd: { user: 'x' } }],
  ['etcd://a', { etcd: { password: 'x' } }],
  ['etcd://a', { etcd: { user: '', password: '' } }],
  ['etcd://a', { etcd: { ca: 'PEM' } }],
  ['etcds://a', { etcd: { cert: 'PEM' } }],
  ['etcds://a', { etcd: { ca: 1 as never } }],
  ['etcds://a', { etcd: { ca: 'no PEM' } }],
  ['etcds://a', { etcd: { cert: 'secret', key: 'secret' } }],
  ['/tmp', { etcd: {} }],
])('openStore(%j, %j) is a TypeError without a secret in it', async (root, options) => {
  const error = await openStore(root, options).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(TypeError)
  expect(String(error)).not.toContain('secret')
})

test('the bytes of a certificate may be of another realm, such as that of Jest or jsdom', async () => {
  const foreign: Uint8Array = runInNewContext('Uint8Array.from([110, 111])')
  const [refusal, usual] = await Promise.all(
    [foreign, Uint8Array.from(foreign)].map(ca => openStore('etcds://a', { etcd: { ca } }).catch(String)),
  )
  expect(refusal).toBe(usual)
  expect(refusal).toContain('ca, cert and key cannot be used')
})

test('the keys of a store stay what they are', () => {
  const keys = new Keys('/p')
  expect(keys.state('a')).toBe('/p/state/a')
  expect(keys.record('a', 12n)).toBe('/p/history/a/0000000000000000012')
  expect(keys.deletions('a')).toBe('/p/deletions/ca')
})
