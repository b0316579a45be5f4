/**
 * The drawer under each page: the last requests to this server, of all browsers, and what became of their sessions. It asks for
 * nothing until it is opened: a browser has few connections for one server.
 */
import { element } from '/shared/dom.js'
import { RequestStream } from '/shared/hood-stream.js'

const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const outcomes = ['committed', 'rolled back', 'failed', 'unknown', 'anonymous']
/** Stays open from page to page, in this tab. */
const wasOpen = 'hood-open'

class Drawer {
  #tab = element('button', { className: 'hood-tab', type: 'button', 'aria-controls': 'hood-panel', onclick: () => this.#toggle(this.#panel.hidden) },
    element('span', { className: 'hood-arrow', 'aria-hidden': 'true' }), 'Under the hood')

  #newest = element('button', { className: 'hood-newest', type: 'button', hidden: true, onclick: () => this.#pick(undefined) }, 'Follow the newest')
  #connection = element('span', { className: 'soft', role: 'status' })
  #list = element('ol', { className: 'hood-list', tabIndex: -1 })
  #detail = element('div', { className: 'hood-detail' })
  #panel = element('div', { id: 'hood-panel', className: 'hood-panel', hidden: true },
    element('header', { className: 'hood-head' },
      element('h2', { id: 'hood-title', className: 'spoken' }, 'Under the hood'),
      element('p', { className: 'soft small' }, 'The last requests of all browsers, as they come. Names of keys alone: no values, no tokens. ', this.#connection),
      this.#newest),
    element('div', { className: 'hood-body' }, this.#list, this.#detail))

  /** Ids of the request that the reader has picked, and of the one that is shown. */
  #picked
  #shown
  /** While the drawer is open and in sight. */
  #stream

  constructor () {
    const drawer = element('aside', { className: 'hood', 'aria-labelledby': 'hood-title' }, this.#tab, this.#panel)
    drawer.onkeydown = ({ key }) => {
      if (key !== 'Escape' || this.#panel.hidden) return
      this.#toggle(false)
      this.#tab.focus()
    }
    document.body.append(drawer)
    document.addEventListener('visibilitychange', () => this.#follow())
    this.#toggle(window.sessionStorage.getItem(wasOpen) === 'true')
  }

  #toggle (open) {
    this.#panel.hidden = !open
    this.#tab.setAttribute('aria-expanded', String(open))
    document.documentElement.classList.toggle('hood-open', open)
    window.sessionStorage.setItem(wasOpen, String(open))
    this.#follow()
  }

  /** Listens while there is somebody to see it. */
  #follow () {
    this.#stream?.close()
    this.#stream = undefined
    if (this.#panel.hidden || document.hidden) return
    this.#stream = new RequestStream(() => this.#draw(), (state) => {
      this.#connection.textContent = state === 'lost' ? 'The connection is lost: waiting for it…' : ''
    })
    this.#draw()
  }

  #pick (id) {
    this.#picked = id
    this.#draw()
  }

  #draw () {
    const { requests: known } = this.#stream
    const requests = [...known.values()].sort((a, b) => b.id - a.id)
    if (!known.has(this.#picked)) this.#picked = undefined
    // A stream that goes on does not hide what is answered meanwhile.
    const shown = known.get(this.#picked) ?? requests.find(({ status }) => status !== undefined) ?? requests[0]
    this.#newest.hidden = this.#picked === undefined
    const rows = new Map([...this.#list.children].map((row) => [Number(row.dataset.id), row]))
    for (const [i, request] of requests.entries()) {
      const row = rows.get(request.id) ?? this.#makeRow(request)
      rows.delete(request.id)
      fillRow(row, request, request === shown)
      if (this.#list.children[i] !== row) this.#list.insertBefore(row, this.#list.children[i] ?? null)
    }
    for (const row of rows.values()) row.remove()
    if (shown === undefined) {
      this.#detail.replaceChildren(element('p', { className: 'soft hood-none' }, 'Nothing yet: use the page, here or in another browser.'))
    } else {
      this.#drawDetail(shown)
    }
  }

  #makeRow ({ id, at, method, path }) {
    return element('li', { 'data-id': id },
      element('button', { className: 'hood-row', type: 'button', onclick: () => this.#pick(id) },
        element('span', { className: 'hood-time soft figures' }, time.format(at)),
        element('span', { className: 'hood-route' }, element('strong', {}, method), ` ${path}`),
        element('span', { className: 'hood-outcome' })))
  }

  /** What stays is left as it is, so that it can be scrolled and marked. */
  #drawDetail (request) {
    const { id, method, path, status, duration, steps, sources } = request
    if (this.#shown !== id || this.#detail.children.length < 2) {
      this.#shown = id
      this.#detail.replaceChildren(
        element('section', { className: 'hood-what' },
          element('h3', {}, `${method} ${path}`),
          element('p', { className: 'hood-status small figures' }),
          element('ol', { className: 'hood-steps' })),
        element('section', { className: 'hood-source' },
          element('h3', {}, 'The route'),
          element('div', { className: 'hood-lines', tabIndex: 0, role: 'region', 'aria-label': `The lines of ${method} ${path}` },
            ...sources.flatMap(({ file, line, text }) => [
              element('p', { className: 'soft small' }, `${file}, line ${line}`),
              element('pre', {}, element('code', {}, ...colored(text))),
            ]))))
    }
    this.#detail.querySelector('.hood-status').textContent = status === undefined ? 'Not answered yet' : `${status} after ${duration.toFixed(1)} ms`
    const list = this.#detail.querySelector('.hood-steps')
    list.replaceChildren(...steps.map(({ at, what, text, code, tone }) => element('li', { className: tone ?? '' },
      element('span', { className: 'hood-at soft figures' }, at.toFixed(1)),
      element('span', { className: 'hood-step' }, what),
      element('span', { className: 'hood-text' }, text, ...code === undefined ? [] : [element('code', {}, code)]))))
    if (!steps.some(({ what }) => what !== 'replied')) {
      list.prepend(element('li', { className: 'hood-untouched soft' }, 'No session was used: nothing was read, hashed or written for one.'))
    }
  }
}

function fillRow (row, { status, steps }, isShown) {
  const ends = steps.filter(({ what }) => outcomes.includes(what))
  const outcome = ends.find(({ tone }) => tone === 'bad') ?? ends.at(-1)
  const tone = status >= 400 ? 'bad' : outcome?.tone
  const text = outcome?.what ?? (steps.some(({ what }) => what === 'opened')
    ? 'open'
    : steps.some(({ what }) => what !== 'replied') ? 'sessions of the manager' : 'no session')
  const button = row.firstElementChild
  const pill = row.querySelector('.hood-outcome')
  button.setAttribute('aria-pressed', String(isShown))
  pill.textContent = status === undefined ? `${text} …` : `${text}, ${status}`
  pill.className = `hood-outcome ${tone ?? ''}`
}

/** The code's comments, texts and words, each in a colour of its own. */
function colored (code) {
  return code.split(/(\/\*[^]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|`[^`]*`|\b(?:async|await|const|return|throw|new|if|of|for|try|catch|undefined)\b)/).map((part, i) => {
    if (i % 2 === 0) return part
    const kind = /^\/[/*]/.test(part) ? 'comment' : /^['`]/.test(part) ? 'text' : 'word'
    return element('span', { className: `hood-${kind}` }, part)
  })
}

const styles = element('link', { rel: 'stylesheet', href: '/shared/hood.css' })
styles.onload = () => new Drawer()
document.head.append(styles)
