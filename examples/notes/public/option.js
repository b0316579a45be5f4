/** One of a list to choose from. */
export function option (value, textContent, selected) {
  return Object.assign(document.createElement('option'), { value, textContent, selected })
}
