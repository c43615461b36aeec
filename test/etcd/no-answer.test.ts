import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createWebServer, type Server as WebServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { openStore } from 'sandbox-state'
import { describe, type TestContext, test } from 'vitest'
import { LONGER_THAN_A_TEST } from '../support/etcd.js'

// Where no etcd answers, or something else does. These tests need none.

/** @param lockTimeout with 0 it waits for etcd for 5 s, the shortest time */
async function open(host: string, { onTestFinished }: TestContext, lockTimeout = 0) {
  const store = await openStore(`etcd://${host}/x`, { lockTimeout })
  onTestFinished(() => store.close())
  return store
}

async function listen(server: Server | WebServer, { onTestFinished }: TestContext): Promise<string> {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const IO_ERROR = { name: 'StateStoreError', code: 'IO_ERROR' }

describe.concurrent('an etcd', () => {
  test('that is not there is an IO_ERROR in every call', async context => {
    const { expect } = context
    const store = await open('127.0.0.1:1', context)
    await Promise.all([
      expect(store.read('a')).rejects.toMatchObject({
        ...IO_ERROR,
        id: 'a',
        path: '/x/state/a',
        message: expect.stringMatching(/127\.0\.0\.1:1: .+; gave up after \d+ s$/),
      }),
      expect(store.create('b')).rejects.toMatchObject({ ...IO_ERROR, id: 'b' }),
      expect(store.delete('c')).rejects.toMatchObject({ ...IO_ERROR, id: 'c' }),
      expect(store.list().next()).rejects.toMatchObject(IO_ERROR),
      expect(store.history('a').next()).rejects.toMatchObject(IO_ERROR),
      expect(store.watch().next()).rejects.toMatchObject(IO_ERROR),
    ])
  })

  test('that is not there causes no warning of Node, however many calls wait for it', async context => {
    const { expect, onTestFinished } = context
    const warnings: Error[] = []
    const hear = (warning: Error) => warnings.push(warning)
    process.on('warning', hear)
    onTestFinished(() => void process.off('warning', hear))
    const store = await open('127.0.0.1:1', context)
    await Promise.allSettled(Array.from({ length: 20 }, () => store.read('a')))
    expect(warnings).toEqual([])
  })

  test('that says nothing is an IO_ERROR, and no change queues for longer than that takes', async context => {
    const { expect } = context
    const store = await open(await listen(createServer(), context), context)
    const codes = await Promise.all(
      Array.from({ length: 10 }, () => store.transition('a', 'ready', 'running').catch(({ code }) => code)),
    )
    // Those that queued behind the first find their time up, to the millisecond or to some less.
    expect(codes[0]).toBe('IO_ERROR')
    expect(codes.filter(code => !/^(IO_ERROR|LOCK_TIMEOUT)$/.test(code))).toEqual([])
  })

  test.for([
    '{"kvs":[{"key":1}],"header":{"revision":"1"}}',
    '{"kvs":{},"header":{"revision":"1"}}',
    '{"kvs":[]}',
    '{"header":{"revision":1}}',
    '{"header":{"revision":"1"},"succeeded":true}',
    '{"header":{"revision":"1"},"succeeded":true,"responses":[{}]}',
    '{"header":{"revision":"1"},"succeeded":true,"responses":[{"response_range":{"kvs":[{"key":1}]}}]}',
    '{"header":{"revision":"1"},"succeeded":true,"responses":[{"response_range":{"kvs":{}}}]}',
    '{"succeeded":true,"responses":[{"response_range":{"kvs":[]}}]}',
    'null',
    '<html>',
    '',
  ])('that answers %j is an IO_ERROR, not a state', async (answer, context) => {
    const { expect } = context
    const server = createWebServer((_, response) => void response.end(answer))
    const store = await open(await listen(server, context), context)
    await expect(store.read('a')).rejects.toMatchObject(IO_ERROR)
  })

  test('that answers slowly, but goes on, is heard to the end', async context => {
    const { expect } = context
    const answer = '{"header":{"revision":"1"},"succeeded":true,"responses":[{"response_range":{}}]}'
    const server = createWebServer((_, response) => {
      const pieces = answer.match(/.{1,9}/g) ?? []
      const timer = setInterval(() => {
        response.write(pieces.shift() ?? '')
        if (pieces.length === 0) response.end(() => clearInterval(timer))
      }, 300)
      response.on('close', () => clearInterval(timer))
    })
    const store = await open(await listen(server, context), context, LONGER_THAN_A_TEST)
    await expect(store.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test.for([
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz',
    'HTTP/1.1 500 Oops\r\nContent-Length: 30\r\n\r\n{"error":{"grpc_code":1e999}}\n\n',
    'not HTTP\r\n\r\n',
    '',
  ])('whose response is %j fails that call and the watch, and nothing else', async (response, context) => {
    const { expect } = context
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(response))
    })
    const store = await open(await listen(server, context), context)
    await Promise.all([
      expect(store.read('a')).rejects.toMatchObject({
        ...IO_ERROR,
        id: 'a',
        message: expect.not.stringContaining('TLS'),
      }),
      expect(store.create('a')).rejects.toMatchObject({ ...IO_ERROR, id: 'a' }),
      expect(store.watch().next()).rejects.toMatchObject(IO_ERROR),
    ])
  })

  test('that is in fact a web server is an IO_ERROR at once', async context => {
    const { expect } = context
    const server = createWebServer((_, response) => void response.writeHead(404).end('Not Found'))
    const store = await open(await listen(server, context), context, LONGER_THAN_A_TEST)
    await expect(store.create('a')).rejects.toMatchObject(IO_ERROR)
  })

  test('costs a store of files nothing: no HTTP is loaded', async ({ expect }) => {
    const index = new URL('../../dist/index.js', import.meta.url).href
    const program = `
      import { openStore } from ${JSON.stringify(index)}
      const store = await openStore('/nowhere')
      await store.read('a').catch(error => console.log(error.code))
      await store.close()
      console.log(process.moduleLoadList.filter(name => /^NativeModule https?$/.test(name)).join())`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    const ended = once(child, 'close')
    expect((await text(child.stdout)).trim()).toBe('NOT_FOUND')
    expect(await ended).toEqual([0, null])
  })
})
