import { Refusal } from '/shared/ask.js'
import { byId, element, euros } from '/shared/dom.js'
import { follow } from '/shared/follow.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'
import { Countdown, clockText, lifetimeText, lifetimeWords } from './countdown.js'
import { BasketLines } from './lines.js'
import { ProductCards } from './products.js'

/** From here on the clock turns red: a part of the basket's lifetime, and at the most this many milliseconds. */
const soonPart = 0.3
const soonMost = 60_000

const page = byId()
const shop = await api.shop()
const names = new Map(shop.products.map(({ id, name }) => [id, name]))
const defaultLifetime = shop.lifetimes.at(-1)

/** What the server last said. */
let state = { lines: [], total: 0, receipt: undefined, ttl: defaultLifetime, left: null }
let toldSoon = false
/** The windows of this browser have one basket: where it begins, the others are told. */
const windows = new window.BroadcastChannel('basket')
windows.onmessage = () => look()
const trouble = new Trouble(page.problem, 'The shop cannot get at the baskets right now. What you did last may not have been kept: please try again in a moment.', () => look())
/** Stops listening for the end of the basket; `undefined` while there is none to listen for. */
let stopListening

const cards = new ProductCards(page.products, shop, ({ id, name }) => use(() => api.add(id), `${name} is in the basket.`))
const lines = new BasketLines(page.lines, shop, {
  more: ({ id, name }) => use(() => api.add(id), `One more: ${name}.`),
  less: ({ id, name }) => use(() => api.setQuantity(id, quantityOf(id) - 1), `One less: ${name}.`),
  remove: ({ id, name }) => use(() => api.setQuantity(id, 0), `${name} was removed.`),
})
const countdown = new Countdown({ onTick: showTime, onZero: lookAfterTheEnd })

page.lifetimes.append(...shop.lifetimes.map((seconds) => element('label', {},
  element('input', {
    type: 'radio',
    name: 'lifetime',
    value: String(seconds),
    onchange: () => use(() => api.setLifetime(seconds), `The basket is forgotten after ${lifetimeWords(seconds)} without use.`),
  }),
  element('span', {}, lifetimeText(seconds)))))

page.pay.onclick = async () => {
  await use(() => api.checkOut(state.total), 'Paid. Here is your receipt.')
  if (state.receipt !== undefined) page.receipt.focus()
}
page.leave.onclick = async () => {
  await use(async () => {
    await api.end()
    return api.look()
  }, 'Your session has ended.')
  page.basket.focus()
}
page.race.onclick = async () => {
  page.race.disabled = true
  await use(race, '')
  page.race.disabled = false
}
// The bar leads to the basket: it is of no use while that is to be seen.
new window.IntersectionObserver(([entry]) => { page.bar.hidden = entry.isIntersecting }, { threshold: 0.25 }).observe(page.basket)
// Another tab may have used the basket meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) listen(false)
  else look()
})

let last = Promise.resolve()

/** One after the other: each call goes by what the last one said. */
function queue (work) {
  last = last.then(work)
  return last
}

/** Does something with the basket and shows what became of it. */
function use (call, said) {
  return queue(async () => {
    try {
      const view = await call()
      page.expired.hidden = true
      show(view)
      trouble.clear()
      say(said)
    } catch (error) {
      await explain(error)
    }
  })
}

/** @param why how the basket has ended, if that was told */
function look (why) {
  return queue(async () => {
    try {
      showFound(await api.look(), why)
    } catch (error) {
      await explain(error)
    }
  })
}

/** Two requests add the same at the same moment, each to what it has read. Neither is lost. */
async function race () {
  const { id, name } = shop.products.find(({ id }) => quantityOf(id) <= shop.maxQuantity - 2) ?? shop.products[0]
  // Both need a basket, with room for two more.
  const before = await api.setQuantity(id, Math.min(quantityOf(id), shop.maxQuantity - 2))
  await Promise.all([api.add(id), api.add(id)])
  const after = await api.look()
  const [was, is] = [before, after].map((view) => quantityOf(id, view))
  page['race-text'].textContent = `Two requests each added one of ${name} at the same moment: there were ${was}, now there are ${is}. ` +
    'Neither overwrote the other: update() is applied to the newest basket.'
  return after
}

/** The time seems to be up. A moment later, since the server's clock decides. */
function lookAfterTheEnd () {
  setTimeout(() => look(), 100)
}

/** Hears of the end of the basket at once, wherever that comes from. */
function listen (exists) {
  if (exists === (stopListening !== undefined)) return
  stopListening?.()
  stopListening = exists
    ? follow('basket/events', {
      changed: () => look(),
      over ({ why }) {
        listen(false)
        look(why)
      },
    })
    : undefined
}

/** The basket as it was found, which may be gone. */
function showFound (view, why = 'expired') {
  const { ttl, left } = state
  // What was said of an end stays: the clock may ask about it once more.
  if (left === null && view.left === null) return
  if (left === null) page.expired.hidden = true
  if (show(view) || view.left !== null) return
  if (why === 'expired') showEnd('Your basket has expired', `It was not used for ${lifetimeWords(ttl)}, so that the shop has forgotten it.`)
  else showEnd('Your basket was ended', 'Not on this page: in another tab, or by whoever runs the shop.')
}

function showEnd (title, text) {
  page['expired-title'].textContent = title
  page['expired-text'].textContent = `${text} Put something in to begin a new one.`
  page.expired.hidden = false
  page.empty.hidden = true
  page['bar-count'].textContent = title
  say(`${title}.`)
}

async function explain (error) {
  if (error instanceof Refusal && error.status === 409) {
    if (!error.code.startsWith('SHOP_')) error.message = 'The basket changed or expired at that very moment. This is how it is now.'
    showFound(await api.look().catch(() => state))
  }
  trouble.tell(error)
}

/** @returns whether the basket that was shown is lost, with the memory of a shop that was restarted */
function show (view) {
  const isLost = state.left !== null && state.memory !== view.memory
  if (state.left === null && view.left !== null) windows.postMessage('begun')
  state = view
  const isPaid = view.receipt !== undefined && view.lines.length === 0
  const isEmpty = view.lines.length === 0
  page.empty.hidden = !isEmpty || isPaid || !page.expired.hidden
  page.filled.hidden = isEmpty
  page.receipt.hidden = !isPaid
  page['empty-text'].textContent = view.left === null
    ? 'There is nothing in it yet. It begins with the first thing that you put in.'
    : 'There is nothing in it at the moment.'
  listen(view.left !== null && !document.hidden)
  cards.show(view.lines)
  lines.show(view.lines)
  page.total.textContent = euros(view.total)
  if (isPaid) showReceipt(view.receipt)
  showCount(view)
  showLifetime(view)
  if (isLost) showEnd('Your basket was lost', 'The shop was restarted and kept its baskets in memory. On Redis (REDIS_URL) they outlive it.')
  return isLost
}

function showReceipt ({ number, paidAt, lines, total }) {
  page['receipt-number'].textContent = number
  page['receipt-time'].textContent = new Date(paidAt).toLocaleString('en', { dateStyle: 'long', timeStyle: 'short' })
  page['receipt-lines'].replaceChildren(...lines.map(({ product, quantity, sum }) => element('li', {},
    element('span', {}, `${quantity} × ${names.get(product)}`), element('span', { className: 'figures' }, euros(sum)))))
  page['receipt-total'].textContent = euros(total)
}

function showCount ({ lines, total }) {
  const count = lines.reduce((sum, { quantity }) => sum + quantity, 0)
  page['bar-count'].textContent = count === 0 ? 'Your basket is empty' : `${count} in your basket`
  page['bar-total'].textContent = count === 0 ? '' : euros(total)
}

function showLifetime ({ ttl, left }) {
  for (const input of page.lifetimes.querySelectorAll('input')) input.checked = Number(input.value) === ttl
  page['lifetime-hint'].textContent = left === null ? 'Not begun yet' : 'Each use begins the time anew'
  page.clock.hidden = left === null
  toldSoon = false
  if (left !== null) return countdown.start(left)
  countdown.stop()
  page['bar-left'].textContent = ''
}

function showTime (left) {
  const whole = state.ttl * 1000
  const soon = left < Math.min(whole * soonPart, soonMost)
  page.left.textContent = page['bar-left'].textContent = clockText(left)
  page.ring.style.strokeDashoffset = String(100 - Math.min(left / whole, 1) * 100)
  page.clock.classList.toggle('soon', soon)
  if (soon && !toldSoon) say(`The basket is forgotten in ${clockText(left)}.`)
  toldSoon = soon
}

function quantityOf (product, { lines } = state) {
  return lines.find((line) => line.product === product)?.quantity ?? 0
}

function say (text) {
  page.said.textContent = text
}

await use(api.basket, '')
