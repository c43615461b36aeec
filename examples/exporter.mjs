// Counts of sandboxes by state for Prometheus, over loopback HTTP.
//
//     node examples/exporter.mjs ROOT [PORT]      then: curl http://127.0.0.1:PORT/metrics
//
// Each request lists the root again, which takes no lock. PORT is 9477 by default; 0 chooses a free port.
import { createServer } from 'node:http'
import { openStore, STATES } from 'sandbox-state'

const [root, port = '9477'] = process.argv.slice(2)
if (root === undefined || !/^\d{1,5}$/.test(port)) {
  console.error('usage: node examples/exporter.mjs ROOT [PORT]')
  process.exit(2)
}

const store = await openStore(root)
const server = createServer(async ({ method, url }, response) => {
  if (url !== '/metrics' || (method !== 'GET' && method !== 'HEAD')) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('see /metrics\n')
    return
  }
  try {
    const text = await metrics()
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text)
  } catch (error) {
    response.writeHead(500, { 'content-type': 'text/plain' }).end(`${error.code ?? error.message}\n`)
  }
})

server.listen(Number(port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/metrics`)
})
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => server.close(() => store.close()))
}

/** Every state has a line, even for no sandbox: Prometheus cannot distinguish a missing line from a failed scrape. */
async function metrics() {
  const counts = Object.fromEntries(STATES.map(state => [state, 0]))
  const errors = {}
  for await (const { state, error } of store.list()) {
    if (error === undefined) counts[state.state]++
    else errors[error.code] = (errors[error.code] ?? 0) + 1
  }
  return [
    '# HELP sandbox_state_sandboxes Sandboxes by state.',
    '# TYPE sandbox_state_sandboxes gauge',
    ...Object.entries(counts).map(([state, count]) => `sandbox_state_sandboxes{state="${state}"} ${count}`),
    '# HELP sandbox_state_unreadable Sandboxes whose state cannot be read, by error code.',
    '# TYPE sandbox_state_unreadable gauge',
    ...Object.entries(errors).map(([code, count]) => `sandbox_state_unreadable{code="${code}"} ${count}`),
    '',
  ].join('\n')
}
