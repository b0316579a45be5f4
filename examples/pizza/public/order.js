import { byId, element, euros } from '/shared/dom.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'

const page = byId()
const trouble = new Trouble(page.problem, api.outage)
const menu = await api.menu()

page.menu.append(...menu.map(({ id, name, with: on, price }, i) => element('label', { className: 'card dish' },
  element('input', { type: 'radio', name: 'pizza', value: id, checked: i === 0 }),
  element('img', { src: `/art/${id}.svg`, alt: '', width: 120, height: 120 }),
  element('span', { className: 'about' },
    element('strong', {}, name),
    element('span', { className: 'soft small' }, on),
    element('span', { className: 'figures' }, euros(price))))))

page.form.onsubmit = async (event) => {
  event.preventDefault()
  trouble.clear()
  page.send.disabled = true
  const form = new window.FormData(page.form)
  try {
    const { token } = await api.order(form.get('pizza'), form.get('customer'))
    // Behind the #, it is not sent to the server with each page, nor written into its log.
    window.location.href = `/track.html#${token}`
  } catch (error) {
    trouble.tell(error)
  } finally {
    page.send.disabled = false
  }
}
