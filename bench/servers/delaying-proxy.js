/** Passes bytes on to a Redis and back, each way half a millisecond later than they came. */
import { createServer, connect } from 'node:net'
import { redisOptions, serve } from './serve.js'

/** Milliseconds. */
const delay = 0.5
const waiting = []

/** Timers count whole milliseconds. */
function passOn () {
  while (waiting.length > 0 && waiting[0].at <= performance.now()) waiting.shift().pass()
  if (waiting.length > 0) setImmediate(passOn)
}

function pipe (from, to) {
  from.setNoDelay(true).on('error', () => {}).once('close', () => to.destroy())
  from.on('data', (bytes) => {
    if (waiting.push({ at: performance.now() + delay, pass: () => to.write(bytes) }) === 1) setImmediate(passOn)
  })
}

const proxy = createServer((client) => {
  const server = connect(redisOptions.port, redisOptions.host)
  pipe(client, server)
  pipe(server, client)
})

await serve(async (options) => {
  await new Promise((resolve) => proxy.listen(options, resolve))
  return proxy.address().port
})
