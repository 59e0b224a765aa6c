// The page to log in at: says why one is here again, and keeps the view that was asked for.
const asked = new URLSearchParams(location.search);
const problem = document.getElementById('problem');
const wait = Number(asked.get('wait'));
if (wait > 0) problem.textContent = `Too many attempts from this address: try again in ${Math.ceil(wait)} s.`;
else if (asked.has('failed')) problem.textContent = 'That user and password do not go together.';
problem.hidden = !problem.textContent;
document.getElementById('next').value = asked.get('next') ?? '';
// A fragment outlives redirections: the view opens after the login.
if (location.hash) document.getElementById('login').action += location.hash;
