/** So many requests are kept. */
const most = 30

/**
 * Follows the last requests to the server. One window of a browser listens, and tells the others: a browser has six connections for one
 * server, and each page has streams of its own. Only a page that is served securely can know of others; one that is not listens itself.
 * @param onChange is called when a request has come or has changed
 * @param onState is called with `open` or `lost`
 */
export class RequestStream {
  /** By id, the newest last. */
  requests = new Map()
  #onChange
  #onState
  #others = new window.BroadcastChannel('hood')
  #over = new AbortController()
  /** Only of the window that listens. */
  #source

  constructor (onChange, onState) {
    this.#onChange = onChange
    this.#onState = onState
    this.#others.onmessage = ({ data }) => {
      if (data.type === 'hello') this.#tellAll()
      else this.#take(data)
    }
    const { signal } = this.#over
    // The next window listens when this one does no more.
    if (navigator.locks === undefined) this.#listen()
    else navigator.locks.request('hood', { signal }, () => this.#listen()).catch(() => {}) // closed before its turn came
    this.#others.postMessage({ type: 'hello' })
  }

  close () {
    this.#over.abort()
    this.#others.close()
    this.#source?.close()
  }

  /** Resolves when the stream is closed. */
  #listen () {
    const { signal } = this.#over
    if (signal.aborted) return undefined
    this.#source = new window.EventSource('/hood/events')
    this.#source.addEventListener('request', ({ data }) => this.#tell({ type: 'request', request: JSON.parse(data) }))
    this.#source.onopen = () => this.#tell({ type: 'open' })
    this.#source.onerror = () => this.#tell({ type: 'lost' })
    return new Promise((resolve) => signal.addEventListener('abort', resolve))
  }

  /** For a window that has come later. */
  #tellAll () {
    if (this.#source?.readyState !== window.EventSource.OPEN) return
    for (const request of this.requests.values()) this.#others.postMessage({ type: 'request', request })
  }

  #tell (message) {
    this.#others.postMessage(message)
    this.#take(message)
  }

  #take ({ type, request }) {
    if (type === 'request') {
      this.requests.set(request.id, request)
      for (const [id] of this.requests) if (this.requests.size > most) this.requests.delete(id)
      this.#onChange()
      return
    }
    // A server that was started anew counts from one again.
    if (type === 'open') this.requests.clear()
    this.#onState(type)
  }
}
