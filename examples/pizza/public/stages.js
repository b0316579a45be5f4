import { element } from '/shared/dom.js'

const stages = [
  ['ordered', 'Ordered'],
  ['baking', 'In the oven'],
  ['ready', 'Packed'],
  ['on the way', 'On the way'],
  ['delivered', 'Delivered'],
]

/** Draws the stages of an order in a list, the present one marked. */
export function showStages (list, stage) {
  const present = stages.findIndex(([name]) => name === stage)
  list.replaceChildren(...stages.map(([name, text], i) => element('li', {
    className: i < present || stage === 'delivered' ? 'past' : i === present ? 'present' : '',
    ...i === present && { 'aria-current': 'step' },
  }, text)))
}

/** `about 12 minutes`, `any moment now` */
export function timeText (minutes) {
  return minutes < 1 ? 'any moment now' : `about ${minutes} minute${minutes === 1 ? '' : 's'}`
}
