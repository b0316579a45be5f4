/** Milliseconds until a stream is asked for again that was refused by a server in trouble. */
const pause = 2000

/**
 * Follows server-sent events. A connection that is lost comes back: by the browser, or, where it has given up, by this.
 * @param onState is told `open`, `lost`, and `refused`, which is final: there is nothing to follow
 * @returns a function that stops
 */
export function follow (path, listeners, onState = () => {}) {
  const url = `/api/${path}`
  let source
  let timer

  function open () {
    source = new window.EventSource(url)
    for (const [event, listener] of Object.entries(listeners)) source.addEventListener(event, ({ data }) => listener(JSON.parse(data)))
    source.onopen = () => onState('open')
    source.onerror = async ({ target }) => {
      const isRefused = target.readyState === window.EventSource.CLOSED && await statusOf(url) < 500
      if (target !== source) return
      onState(isRefused ? 'refused' : 'lost')
      if (target.readyState === window.EventSource.CLOSED && !isRefused) timer = setTimeout(open, pause)
    }
  }

  open()
  return () => {
    clearTimeout(timer)
    source.close()
    source = undefined
  }
}

/** An EventSource does not tell with which status it was refused. 503 if nobody answers. */
async function statusOf (url) {
  const controller = new AbortController()
  const status = await fetch(url, { signal: controller.signal, cache: 'no-store' }).then((response) => response.ok ? 503 : response.status, () => 503)
  controller.abort()
  return status
}
