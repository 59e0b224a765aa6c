//! What a server asks for in words: keyboard-interactive (RFC 4256) and passwords.

use russh::client::{KeyboardInteractiveAuthResponse as Response, Prompt};
use zeroize::Zeroizing;

use super::words::{LONGEST, is_password, shown};
use super::{Login, Step, Verdict, answer};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::ssh::prompt::{Answer, Question, QuestionKind};

/// Prompts of one request.
const MOST_PROMPTS: usize = 32;
/// Requests of one try: a server that never stops asking is not waited for.
const MOST_REQUESTS: usize = 64;

/// One try of keyboard-interactive.
#[derive(Default)]
struct Try {
    requests: usize,
    /// What was asked, how, and the answer.
    asked: Vec<(String, bool, Zeroizing<String>)>,
    /// Something was answered from memory.
    remembered: bool,
    /// Nobody answers, or does not want to.
    given_up: bool,
}

impl Login<'_> {
    /// `user@host` as ssh has it in its prompts.
    fn who(&self) -> String {
        let host = self.settings.host_key_alias.as_ref().unwrap_or(&self.settings.host);
        format!("{}@{}", escape_str(&self.settings.user), escape_str(host))
    }

    /// Method `password`.
    pub(super) async fn password(&mut self) -> Result<Step> {
        if let Some(known) = self.desk.memory.answer(&self.account, None) {
            return match self.offer_password(&known).await? {
                Verdict::No(rest) => {
                    self.desk.memory.forget_answer(&self.account, None);
                    self.refused_too.push("the password that was typed at `up`".into());
                    self.nobody("a password".into());
                    Ok(Step::Over(Some(rest)))
                }
                verdict => Ok(self.taken(verdict, "the password")),
            };
        }
        let mut rest = None;
        for attempt in 0..self.settings.password_prompts {
            let text = format!("{}'s password: ", self.who());
            let typed = match self.ask(Question { text, kind: QuestionKind::Secret }).await? {
                Answer::Text(typed) => typed,
                Answer::Nobody => {
                    self.nobody("a password".into());
                    break;
                }
                Answer::Declined => break,
            };
            match self.offer_password(&typed).await? {
                Verdict::No(offered) => {
                    let more = offered.contains(&russh::MethodKind::Password);
                    rest = Some(offered);
                    self.wrong("the password");
                    if !more {
                        break;
                    }
                    if attempt + 1 < self.settings.password_prompts {
                        self.desk.person.tell("Permission denied, please try again.");
                    }
                }
                verdict => {
                    self.desk.memory.keep_answer(&self.account, None, &typed);
                    return Ok(self.taken(verdict, "the password"));
                }
            }
        }
        Ok(Step::Over(rest))
    }

    async fn offer_password(&mut self, password: &Zeroizing<String>) -> Result<Verdict> {
        // The library overwrites its copy.
        let offer = self.handle.authenticate_password(self.settings.user.clone(), password.as_str());
        let result = answer(self.desk, offer).await;
        if result.is_none() {
            // The library has no word for it.
            return Err(self.too_late().hint(format!(
                "it may want the password to be changed first: log in with ssh {}",
                self.settings.ssh_arguments()
            )));
        }
        self.judge(result).await
    }

    fn taken(&mut self, verdict: Verdict, what: &str) -> Step {
        match verdict {
            Verdict::In => Step::In,
            Verdict::Partial(rest) => {
                self.accepted.push(what.to_owned());
                Step::Partial(rest)
            }
            Verdict::No(rest) => Step::Over(Some(rest)),
        }
    }

    fn wrong(&mut self, what: &str) {
        if !self.refused_too.iter().any(|w| w == what) {
            self.refused_too.push(what.to_owned());
        }
    }

    /// Method `keyboard-interactive`.
    pub(super) async fn questions(&mut self) -> Result<Step> {
        if self.desk.memory.was_in(&self.account) && !self.desk.memory.knows_prompts(&self.account) {
            // Nobody is asked on a reconnect, and a wrong answer is a failed login there.
            self.nobody("an answer to its questions".into());
            return Ok(Step::Over(None));
        }
        let mut rest = None;
        for attempt in 0..self.settings.password_prompts {
            let mut this = Try::default();
            let user = self.settings.user.clone();
            let start = self.handle.authenticate_keyboard_interactive_start(user, None::<String>);
            let mut response = answer(self.desk, start).await;
            let verdict = loop {
                let (name, instructions, prompts) = match response {
                    None => return Err(self.too_late()),
                    Some(Err(e)) => {
                        let why = crate::ssh::reason(&e);
                        return Err(self.lost(&why).await);
                    }
                    Some(Ok(Response::Success)) => break Verdict::In,
                    Some(Ok(Response::Failure { remaining_methods, partial_success })) => {
                        let result = russh::client::AuthResult::Failure { remaining_methods, partial_success };
                        break self.judge(Some(Ok(result))).await?;
                    }
                    Some(Ok(Response::InfoRequest { name, instructions, prompts })) => (name, instructions, prompts),
                };
                this.requests += 1;
                if this.requests > MOST_REQUESTS || prompts.len() > MOST_PROMPTS {
                    return Err(Error::refused(format!(
                        "cannot log in to {}: it asks without end ({} requests, {} prompts in the last)",
                        self.target,
                        this.requests,
                        prompts.len()
                    )));
                }
                let answers = self.answers(&mut this, &name, &instructions, prompts).await?;
                let respond = self.handle.authenticate_keyboard_interactive_respond(answers);
                response = answer(self.desk, respond).await;
            };
            match verdict {
                Verdict::No(offered) => {
                    let more = offered.contains(&russh::MethodKind::KeyboardInteractive);
                    rest = Some(offered);
                    if this.remembered {
                        for (prompt, ..) in &this.asked {
                            self.desk.memory.forget_answer(&self.account, Some(prompt));
                        }
                        self.refused_too.push("the answer that was typed at `up`".into());
                        self.nobody("a password".into());
                        break;
                    }
                    if this.given_up || this.asked.is_empty() {
                        break;
                    }
                    self.wrong("the answers to its questions");
                    if !more {
                        break;
                    }
                    if attempt + 1 < self.settings.password_prompts {
                        self.desk.person.tell("Permission denied, please try again.");
                    }
                }
                verdict => {
                    self.settle(&this);
                    return Ok(self.taken(verdict, "the answers to its questions"));
                }
            }
        }
        Ok(Step::Over(rest))
    }

    /// Keeps what a reconnect can use again, or notes that it will need a person.
    fn settle(&mut self, this: &Try) {
        match &this.asked[..] {
            [] => {}
            [(prompt, false, typed)] if is_password(prompt) => {
                self.desk.memory.keep_answer(&self.account, Some(prompt), typed);
            }
            asked => {
                let prompts: Vec<_> = asked.iter().map(|(prompt, ..)| shown(prompt.trim(), 100)).collect();
                self.personal = Some(format!("{} asks \"{}\"", self.target, prompts.join("\", \"")));
            }
        }
    }

    /// Answers one request; empty answers where nobody has any, because the library waits for some.
    async fn answers(
        &mut self,
        this: &mut Try,
        name: &str,
        instructions: &str,
        prompts: Vec<Prompt>,
    ) -> Result<Vec<String>> {
        let mut head = String::new();
        for text in [name, instructions] {
            if !text.trim().is_empty() {
                head.push_str(&shown(text.trim_end(), LONGEST));
                head.push('\n');
            }
        }
        if prompts.is_empty() && !head.is_empty() && !this.given_up {
            self.desk.aside(head.trim_end());
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for Prompt { prompt, echo } in prompts {
            let known = self.desk.memory.answer(&self.account, Some(&prompt));
            let typed = match known {
                _ if this.given_up => None,
                Some(known) => {
                    this.remembered = true;
                    Some(known)
                }
                None => {
                    let text = format!("{}({}) {}", std::mem::take(&mut head), self.who(), shown(&prompt, LONGEST));
                    let kind = if echo { QuestionKind::Visible } else { QuestionKind::Secret };
                    match self.ask(Question { text, kind }).await? {
                        Answer::Text(typed) => Some(typed),
                        Answer::Nobody => {
                            self.nobody(format!("an answer to \"{}\"", shown(prompt.trim(), 100)));
                            None
                        }
                        Answer::Declined => None,
                    }
                }
            };
            this.given_up |= typed.is_none();
            let typed = typed.unwrap_or_default();
            answers.push(typed.to_string());
            this.asked.push((prompt, echo, typed));
        }
        Ok(answers)
    }
}
