import { Buffer } from 'node:buffer'
import { X509Certificate } from 'node:crypto'
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as AgentTls, request as requestHttps } from 'node:https'
import { createSecureContext } from 'node:tls'
import { errorIn, errorOfRequest, errorOfResponse, GatewayError, parseJson } from './gateway-error.js'
import type { EtcdOptions } from './options.js'

/** How long a member may take to answer, in ms; then another one is asked. */
export const REQUEST_TIMEOUT = 2_000
/**
 * While it serves a stream, a member is asked this often, in ms, for something that it answers by itself: an open
 * connection does not show that a process was stopped or that the network path is gone.
 */
const PROBE_INTERVAL = 5_000
const PROBE = { path: '/v3/maintenance/status', body: '{}' }
/** Connections to one member. More requests at once would only wait there instead of here. */
const MAX_SOCKETS = 64

/** A request to one member. */
export interface Post {
  readonly path: string
  readonly body: string
  readonly token?: string | undefined
  /** On the clock of `performance.now()`. */
  readonly deadline: number
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
  /** Whether its connection does not keep the process from ending. */
  readonly background?: boolean | undefined
}

/** One member of etcd, over the JSON gateway of its client port. Idle sockets do not keep the process alive. */
export class Endpoint {
  private readonly isTls: boolean
  /** For each connection. */
  private readonly secure: ReturnType<typeof secureContext> | undefined
  private readonly calls: Agent

  constructor(
    /** Such as `http://127.0.0.1:2379`. */
    readonly origin: string,
    options: EtcdOptions,
  ) {
    this.isTls = origin.startsWith('https:')
    this.secure = this.isTls ? secureContext(options) : undefined
    const pool = { keepAlive: true, maxSockets: MAX_SOCKETS, ...this.secure }
    this.calls = this.isTls ? new AgentTls(pool) : new Agent(pool)
  }

  /**
   * Sends a request once.
   * @throws GatewayError
   */
  async post(post: Post): Promise<unknown> {
    let body = ''
    for await (const chunk of this.answerTo(post, this.calls)) body += chunk
    return parseJson(body)
  }

  /**
   * Requests a stream of answers, one JSON text per line.
   * @throws GatewayError when the stream ends, unless `signal` ends it
   */
  async *stream(post: Post): AsyncIterable<unknown> {
    const { token, background } = post
    const silence = new AbortController()
    const probing = setInterval(() => {
      const deadline = performance.now() + REQUEST_TIMEOUT
      this.post({ ...PROBE, token, deadline, background }).catch((cause: GatewayError) => {
        // Any other failure is an answer.
        if (cause.failure !== 'unknown' && cause.failure !== 'not applied') return
        silence.abort(new GatewayError('unknown', 'the member is silent', { cause }))
      })
    }, PROBE_INTERVAL).unref()
    const signal = AbortSignal.any([post.signal, silence.signal].filter(signal => signal !== undefined))
    try {
      let rest = ''
      for await (const chunk of this.answerTo({ ...post, signal }, false)) {
        const lines = `${rest}${chunk}`.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          const answer = parseJson(line)
          const error = errorIn(answer)
          if (error !== undefined) throw error
          yield answer
        }
      }
      throw new GatewayError('unknown', 'the stream ended')
    } catch (error) {
      if (!post.signal?.aborted) throw silence.signal.reason ?? error
    } finally {
      clearInterval(probing)
    }
  }

  /**
   * Sends a request, and yields its answer as it arrives. Neither the wait for a free socket, nor for an answer, nor for
   * more of it takes longer than {@link REQUEST_TIMEOUT}, so calls that queue for a member that is silent soon ask
   * another one.
   * @param agent false for a stream, which has a connection of its own, and all the time it needs
   * @throws GatewayError
   */
  private async *answerTo(post: Post, agent: Agent | false): AsyncGenerator<string, void, undefined> {
    const { path, body, token, deadline, signal, background } = post
    const send = this.isTls ? requestHttps : requestHttp
    const request = send(`${this.origin}${path}`, {
      agent,
      ...this.secure,
      method: 'POST',
      signal,
      headers: {
        'content-type': 'application/json',
        // A member that has lost its leader then ends a stream with an error instead of falling silent.
        'grpc-metadata-hasleader': 'true',
        ...(token !== undefined && { authorization: token }),
      },
    })
    let sent = false
    let timeout: Error | undefined
    let timer: NodeJS.Timeout | undefined
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).on('error', reject)
      const ms = Math.max(Math.round(Math.min(deadline - performance.now(), REQUEST_TIMEOUT)), 1)
      timer = setTimeout(() => {
        timeout = new Error(`no answer within ${ms} ms`)
        reject(timeout) // A request that waits for a socket has no error before it gets one.
        request.destroy()
      }, ms)
      if (background) timer.unref()
    })
    request.once('socket', socket => {
      timer?.refresh()
      if (background) socket.unref()
      sent = !socket.connecting
      if (!sent) socket.once(this.isTls ? 'secureConnect' : 'connect', () => (sent = true))
    })
    request.end(body)
    try {
      const response = await responded
      const isOk = response.statusCode === 200
      let refusal = ''
      if (isOk && !agent) clearTimeout(timer)
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
        if (agent && performance.now() < deadline) timer?.refresh()
        if (isOk) yield chunk
        else refusal += chunk
      }
      if (!isOk) throw errorOfResponse(response.statusCode, refusal)
    } catch (error) {
      throw errorOfRequest(timeout ?? error, sent)
    } finally {
      clearTimeout(timer)
      request.destroy() // The connection of an answer that was read to its end is kept.
    }
  }

  close(): void {
    this.calls.destroy()
  }
}

/**
 * The trusted authorities and our own certificate, for every connection to a member.
 * @throws TypeError when they are not PEM, or the key does not belong to the certificate
 */
function secureContext({ ca, cert, key }: EtcdOptions) {
  const bufferOf = (pem: string | Uint8Array | undefined) => pem && Buffer.from(pem)
  try {
    // Node ignores an authority that is not a certificate without a word.
    if (ca !== undefined) new X509Certificate(ca)
    const secureContext = createSecureContext({ ca: bufferOf(ca), cert: bufferOf(cert), key: bufferOf(key) })
    return { secureContext }
  } catch (cause) {
    const { message } = cause as Error
    throw new TypeError(`the etcd options ca, cert and key cannot be used: ${message}`, { cause })
  }
}
