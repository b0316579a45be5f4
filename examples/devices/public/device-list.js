import { element } from '/shared/dom.js'

const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const screens = {
  phone: '<path d="M15 5h18a3 3 0 0 1 3 3v32a3 3 0 0 1-3 3H15a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3z"/><path d="M21 37h6"/>',
  desk: '<path d="M7 9h34a2 2 0 0 1 2 2v21a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V11a2 2 0 0 1 2-2z"/><path d="M17 41h14M24 34v7"/>',
  terminal: '<path d="M7 9h34a2 2 0 0 1 2 2v26a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V11a2 2 0 0 1 2-2z"/><path d="M12 18l6 5-6 5M22 29h9"/>',
}

/** The devices of an account, this one first. */
export class DeviceList {
  #list
  #onEnd
  #devices = []

  /** @param onEnd called with a device that its user wants to log out */
  constructor (list, onEnd) {
    this.#list = list
    this.#onEnd = onEnd
    setInterval(() => this.#tell(), 10_000)
  }

  /** A device that stays keeps its element, and so the focus. */
  show (devices) {
    this.#devices = devices
    const known = new Map([...this.#list.children].map((item) => [item.dataset.id, item]))
    for (const [i, device] of devices.entries()) {
      const item = known.get(device.id) ?? this.#make(device)
      known.delete(device.id)
      if (this.#list.children[i] !== item) this.#list.insertBefore(item, this.#list.children[i] ?? null)
    }
    for (const item of known.values()) item.remove()
    this.#tell()
  }

  #make ({ id, label, isThis, isRemembered }) {
    const picture = element('span', { className: 'picture', 'aria-hidden': 'true' })
    picture.innerHTML = `<svg viewBox="0 0 48 48" width="48" height="48">${screens[kindOf(label)]}</svg>`
    return element('li', { className: isThis ? 'card device this' : 'card device', 'data-id': id },
      picture,
      element('div', {},
        element('h3', {}, label, ...isThis ? [' ', element('span', { className: 'badge' }, 'This device')] : []),
        element('p', { className: 'soft small times' }),
        element('p', { className: 'soft small' }, isRemembered ? 'Remembered for thirty days' : 'Forgotten when the browser is closed')),
      ...isThis ? [] : [element('button', { className: 'button quiet', type: 'button', 'aria-label': `Log out ${label}`, onclick: () => this.#onEnd({ id, label }) }, 'Log out')])
  }

  #tell () {
    for (const [i, { createdAt, lastUsedAt }] of this.#devices.entries()) {
      this.#list.children[i].querySelector('.times').textContent = `Logged in ${agoText(createdAt)} · last seen ${agoText(lastUsedAt)}`
    }
  }
}

function kindOf (label) {
  if (/curl/.test(label)) return 'terminal'
  return /iPhone|iPad|Android/.test(label) ? 'phone' : 'desk'
}

function agoText (time) {
  const minutes = Math.round((new Date(time) - Date.now()) / 60_000)
  if (minutes > -1) return 'just now'
  return minutes > -60 ? ago.format(minutes, 'minute') : ago.format(Math.round(minutes / 60), 'hour')
}
