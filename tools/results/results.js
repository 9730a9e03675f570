(() => {
  const table = document.querySelector('table.results'), form = document.querySelector('.results-filters')
  const tagged = [...document.querySelectorAll('[data-family]')], bodies = [...table.tBodies], shown = form.querySelector('output')

  // sorting: a press on a heading, again for the other way; what has no value stays last
  table.querySelectorAll('thead button').forEach((button, column) => button.addEventListener('click', () => {
    const head = button.closest('th'), up = head.getAttribute('aria-sort') === 'descending' ? 1 : -1
    const key = body => body.rows[0].cells[column].dataset.value
    const compare = (a, b) => a === '' ? 1 : b === '' ? -1 : isNaN(a) || isNaN(b) ? up*a.localeCompare(b) : up*(a - b)
    table.querySelectorAll('th').forEach(o => o.removeAttribute('aria-sort'))
    head.setAttribute('aria-sort', up > 0 ? 'ascending' : 'descending')
    table.append(...bodies.sort((a, b) => compare(key(a), key(b))))
  }))

  // filters, kept in the address
  const chosen = () => [...new FormData(form)].filter(([, value]) => value)
  const filter = () => {
    const wanted = chosen()
    for (const o of tagged) o.toggleAttribute('hidden', !wanted.every(([name, value]) => o.dataset[name] === value))
    document.querySelectorAll('[data-plot]').forEach(o => {
      o.closest('section').toggleAttribute('hidden', ![...o.querySelectorAll('[data-family]')].some(o => !o.hasAttribute('hidden'))) })
    const left = bodies.filter(o => !o.hidden).length
    shown.value = left === bodies.length ? `${left} rows` : `${left} of ${bodies.length} rows`
  }
  const remember = () => {
    const query = new URLSearchParams(chosen()).toString()
    try { history.replaceState(null, '', (query ? '?' + query : location.pathname) + location.hash) } catch { }  // not on files from disk
  }
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements[name]
    if (field) field.type === 'checkbox' ? field.checked = value === field.value : field.value = value
  }
  form.addEventListener('change', () => { filter(); remember() })
  form.addEventListener('submit', event => event.preventDefault())
  filter()

  // a link to a row opens it
  const arrive = () => {
    const body = location.hash && document.getElementById(location.hash.slice(1))
    if (body && body.tagName === 'TBODY') {
      if (body.hidden) { form.reset(); filter(); remember() }
      body.querySelector('details').open = true
      body.scrollIntoView({block: 'center'})
    }
  }
  addEventListener('hashchange', arrive)
  arrive()
})()
