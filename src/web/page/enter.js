// Before somebody is let in: what was asked for is kept, and whoever is known goes on at once.
// A link on a page of somebody else comes without the cookie (SameSite=Strict); a request of this page has it.
const next = document.getElementById('next');
if (next && location.hash) next.value = location.hash;

const known = await fetch('api/streams', { cache: 'no-store' }).then((answer) => answer.ok, () => false);
if (known) location.replace(`./?again${location.hash || next?.value || ''}`);
