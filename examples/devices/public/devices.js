import { Refusal } from '/shared/ask.js'
import { byId, element } from '/shared/dom.js'
import { follow } from '/shared/follow.js'
import * as api from './api.js'
import { DeviceList } from './device-list.js'

const page = byId()
const devices = new DeviceList(page.devices, ({ id, label }) => use(() => api.endDevice(id), `${label} is logged out.`))

/** Why the page was logged out, by the word of the session's signal. */
const reasons = {
  ended: 'This device was logged out, from another one or by a new password.',
  limit: 'This device was logged out: it was the one used least recently, and another has logged in.',
  expired: 'This device was logged out, since it was not used for so long.',
}

/** What the server last said; without a name nobody is logged in here. */
let me = { name: null }
/** Stops following the session; `undefined` while there is none. */
let stop
/** When the login is not fresh any more, by this page's own clock. */
let freshUntil = 0

page.login.onsubmit = (event) => enter(event, api.logIn)
page.signup.onsubmit = (event) => enter(event, api.signUp)
page.logout.onclick = () => use(async () => {
  leave()
  await api.logOut()
}, 'You are logged out here.')
page.others.onclick = () => use(() => api.endOthers(), 'The others are logged out.')
page.office.onclick = () => use(() => api.setRole(me.role === 'editor' ? 'reader' : 'editor'), '')
page.note.onsubmit = (event) => submit(event, async ({ text }) => {
  await api.pin(text)
  page.note.reset()
}, 'Your note is on the board.')
page.password.onsubmit = (event) => submit(event, async ({ password }) => {
  try {
    await api.setPassword(password)
    page.password.reset()
  } catch (error) {
    if (error.code !== 'FST_SESSION_NOT_FRESH') throw error
    freshUntil = 0
    showFresh()
    page['again-password'].focus()
  }
}, 'The password is changed, and the other devices are logged out.')
page.again.onsubmit = (event) => submit(event, async ({ password }) => {
  // The login is a new session under a new token: this page follows that one.
  stop?.()
  stop = undefined
  try {
    await api.logInAgain(password)
    page.again.reset()
  } finally {
    await look()
  }
}, 'Your login is fresh again.')
setInterval(showFresh, 1000)

function enter (event, call) {
  return submit(event, async (form) => {
    await call({ ...form, remember: form.remember === 'on' })
    event.target.reset()
    page.gone.hidden = true
    await look()
    page.title.focus()
  }, '')
}

function submit (event, work, said) {
  event.preventDefault()
  return use(() => work(Object.fromEntries(new window.FormData(event.target))), said)
}

async function look () {
  show(await api.me())
  if (me.name !== null && stop === undefined) {
    stop = follow('events', { me: show, over: ({ why }) => { if (why === 'renewed') relook(); else leave(reasons[why]) } }, (state) => {
      page.connection.hidden = state !== 'lost' || stop === undefined
      if (state === 'refused') leave(reasons.ended)
    })
  }
}

/** Another tab of this browser has logged in anew: the cookie is the new one already. */
function relook () {
  stop?.()
  stop = undefined
  return use(look, '')
}

/** @param reason why others have logged this device out, if they have */
function leave (reason) {
  stop?.()
  stop = undefined
  page.connection.hidden = true
  page.gone.hidden = reason === undefined
  page.gone.textContent = reason ?? ''
  show({ name: null })
}

async function use (work, said) {
  page.problem.hidden = true
  try {
    await work()
    page.said.textContent = said
  } catch (error) {
    if (error.code === 'FST_SESSION_REQUIRED') return leave(reasons.ended)
    page.problem.hidden = false
    page.problem.textContent = textOf(error)
    page.problem.scrollIntoView({ block: 'nearest' })
  }
}

function textOf (error) {
  if (!(error instanceof Refusal)) return 'The room cannot be reached right now: please try again in a moment.'
  return error.status === 401 ? 'The name or the password is wrong.' : error.message
}

function show (now) {
  const wasEditor = me.role
  me = now
  const isIn = me.name !== null
  page.door.hidden = isIn
  page.room.hidden = page.logout.hidden = !isIn
  page.title.textContent = isIn ? `Welcome, ${me.name}.` : 'One account, all your devices.'
  page.text.textContent = isIn ? 'Log in from a second browser, and watch both.' : 'Log in here and in a second browser, and see what each knows of the other.'
  if (!isIn) return
  devices.show(me.devices)
  page.count.textContent = `${me.devices.length} of ${me.mostDevices}.`
  page.others.disabled = me.devices.length < 2
  showRole(wasEditor)
  page.board.replaceChildren(...me.board.map((text) => element('li', {}, text)))
  freshUntil = Date.now() + me.freshFor
  showFresh()
}

function showRole (before) {
  const isEditor = me.role === 'editor'
  page.role.textContent = isEditor ? 'Editor' : 'Reader'
  page.note.hidden = !isEditor
  page.reader.hidden = isEditor
  page.office.textContent = isEditor ? 'Take my editor’s role away' : 'Give me the editor’s role'
  if (before !== undefined && before !== me.role) page.said.textContent = isEditor ? 'You are an editor now.' : 'You are not an editor any more.'
}

function showFresh () {
  if (me.name === null) return
  const seconds = Math.ceil((freshUntil - Date.now()) / 1000)
  const isFresh = seconds > 0
  page.password.hidden = !isFresh
  page.again.hidden = isFresh
  page.fresh.textContent = isFresh
    ? `Your login is fresh for another ${seconds} s. A new password logs the other devices out.`
    : `Your login is older than ${me.fresh} seconds: to change the password, log in again.`
}

await use(look, '')
page.room.dataset.ready = 'true'
