/** The load generator where wrk is not installed, as a process of its own. Prints `{ ok, failed, seconds }`. */
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'

const { url, cookie, cookieFile, seconds, connections } = JSON.parse(process.argv[2])
const cookies = cookieFile ? readFileSync(cookieFile, 'utf8').trim().split('\n') : cookie ? [cookie] : []
let next = 0

const result = await autocannon({
  url,
  connections,
  duration: seconds,
  requests: [{
    method: 'GET',
    setupRequest (request) {
      if (cookies.length === 0) return request
      next = (next + 1) % cookies.length
      return { ...request, headers: { ...request.headers, cookie: cookies[next] } }
    },
  }],
})
console.log(JSON.stringify({ ok: result['2xx'], failed: result.non2xx + result.errors, seconds: result.duration }))
