import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { etcdOptionsFrom } from '#src/cli/etcd-environment.js'
import { temporaryFolder } from '../support/root.js'

test.each([
  [{}, {}],
  [{ ETCDCTL_USER: '' }, {}],
  [{ ETCDCTL_USER: 'u:p:q' }, { user: 'u', password: 'p:q' }],
  [
    { ETCDCTL_USER: 'u', ETCDCTL_PASSWORD: 'p' },
    { user: 'u', password: 'p' },
  ],
  [
    { ETCDCTL_USER: 'u:v', ETCDCTL_PASSWORD: 'p' },
    { user: 'u:v', password: 'p' },
  ],
  [{ ETCDCTL_USER: 'u' }, { user: 'u' }],
  [{ ETCDCTL_PASSWORD: 'p' }, {}],
  [{ ETCDCTL_CACERT: '/not/there', HOME: '/x' }, {}],
])('of the variables %j the options are %j', (env, options) => {
  expect(etcdOptionsFrom(env, 'etcd://h')).toEqual(options)
})

test('files of certificates count where TLS is', () => {
  const file = join(temporaryFolder(), 'ca.pem')
  writeFileSync(file, 'PEM')
  const env = { ETCDCTL_CACERT: file, ETCDCTL_CERT: file, ETCDCTL_KEY: file, ETCDCTL_USER: 'u:p' }
  const options = { ca: 'PEM', cert: 'PEM', key: 'PEM', user: 'u', password: 'p' }
  expect(etcdOptionsFrom(env, 'etcds://h')).toEqual(options)
  expect(() => etcdOptionsFrom({ ETCDCTL_KEY: '/not/there' }, 'etcds://h')).toThrow(
    expect.objectContaining({ code: 'IO_ERROR', path: '/not/there' }),
  )
})
