// The side with rooms and members, which comes in from the edge where there is no room for it.

const at = (id) => document.getElementById(id);

/** Opens or closes it. */
export function side(isOpen) {
  const wasOpen = document.body.classList.contains('sided');
  document.body.classList.toggle('sided', isOpen);
  at('menu').setAttribute('aria-expanded', String(isOpen));
  // What is covered; the landmark itself stays one.
  for (const part of at('main').children) {
    part.inert = isOpen;
  }
  if (isOpen) {
    at('close').focus();
  } else if (wasOpen) {
    at('menu').focus();
  }
}

at('menu').addEventListener('click', () => side(!document.body.classList.contains('sided')));
at('close').addEventListener('click', () => side(false));
// What lies over the rest of the page is the body's own.
document.addEventListener('click', ({ target }) => target === document.body && side(false));
document.addEventListener('keydown', ({ key }) => key === 'Escape' && side(false));
matchMedia('(max-width: 46rem)').addEventListener('change', () => side(false));
