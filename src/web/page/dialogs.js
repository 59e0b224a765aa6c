// The dialogs: which file is downloaded, which time is gone to.
import { rawAddress } from './api.js';
import { safe } from './text.js';

const $ = (id) => document.getElementById(id);

/** The files of these streams, to choose from. */
export function files(streams) {
  $('files-list').replaceChildren(...streams.map((key) => {
    const [entry, to] = [document.createElement('li'), document.createElement('a')];
    [to.href, to.download, to.textContent] = [rawAddress(key), '', safe(key)];
    entry.append(to);
    return entry;
  }));
  $('files').showModal();
}

/** Asks for a time. */
export function moment() {
  const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000);
  $('moment-time').value ||= now.toISOString().slice(0, 19);
  $('moment-error').hidden = true;
  $('moment').showModal();
}

/** Lets `go(time)` (RFC 3339) go to the time that was asked for; what it throws is told where one asks. */
export function onMoment(go) {
  $('moment-form').addEventListener('submit', async (event) => {
    if (event.submitter?.value !== 'go') return;
    event.preventDefault();
    try {
      await go(new Date($('moment-time').value).toISOString(), () => $('moment').close());
    } catch (trouble) {
      $('moment-error').textContent = trouble.message;
      $('moment-error').hidden = false;
    }
  });
}
