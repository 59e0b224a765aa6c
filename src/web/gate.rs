//! Who somebody is: by the token, by a login, or by having got here at all.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::accounts::{Accounts, Refused};
use super::api::Sorry;
use super::assets;
use super::audited::Audited;
use super::token::{Token, cookie};
use super::users::Pass;

/// How it is asked.
#[derive(Clone)]
pub enum Gate {
    /// Not at all: the rights of a socket decide.
    Open,
    /// For the token.
    Token(Token),
    /// For a name and a password.
    Users(Arc<Accounts>),
}

/// What every place has to know of a request beside its path.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where it comes from; `None` over a Unix socket.
    pub address: Option<IpAddr>,
    /// Nobody reads along: a cookie may say so.
    pub secure: bool,
}

/// How a cookie is set.
#[derive(Debug, Clone)]
pub struct Cookies {
    /// Its name.
    pub name: String,
    /// What stands before every path: empty, or `/logs`.
    pub base: String,
}

impl Cookies {
    /// Sets it to `value` for `seconds`; 0 takes it away.
    pub fn set(&self, value: &str, seconds: u64, secure: bool, response: &mut Response) {
        let Self { name, base } = self;
        let secure = if secure { "; Secure" } else { "" };
        let field = format!("{name}={value}; Path={base}/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
        if let Ok(field) = HeaderValue::from_str(&field) {
            response.headers_mut().insert(header::SET_COOKIE, field);
        }
    }

    fn sent<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let fields = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
        fields.filter_map(|field| cookie(field, &self.name))
    }
}

/// Seconds for which the token is kept in a cookie.
const YEAR: u64 = 31_536_000;

impl Gate {
    /// Whether everybody may go there: the page's own files, and the login.
    #[must_use]
    pub fn is_public(&self, below: &str) -> bool {
        below.starts_with("/page/") || (matches!(self, Self::Users(_)) && below == "/login")
    }

    /// Whether something is done there, by POST, rather than read.
    #[must_use]
    pub fn is_done_at(&self, below: &str) -> bool {
        matches!(self, Self::Users(_)) && matches!(below, "/login" | "/logout")
    }

    /// Who asks for `uri`, or what is answered instead.
    ///
    /// # Errors
    /// The answer.
    pub async fn pass(
        &self,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        caller: &Caller,
        cookies: &Cookies,
        audited: &Audited,
    ) -> Result<Pass, Box<Response>> {
        let field = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        match self {
            Self::Open => Ok(Pass::nameless()),
            Self::Token(token) => {
                if let Some(answer) = by_link(token, uri, caller, cookies) {
                    return Err(Box::new(answer));
                }
                let bearer = field.and_then(|field| after_scheme(field, "Bearer"));
                let known = cookies.sent(headers).chain(bearer).any(|said| token.is(said));
                if known { Ok(Pass::nameless()) } else { Err(Box::new(stranger(method, uri, headers, cookies))) }
            }
            Self::Users(accounts) => {
                if let Some(pass) = cookies.sent(headers).find_map(|sent| accounts.by_cookie(sent)) {
                    return Ok(pass);
                }
                let basic = field.and_then(|field| after_scheme(field, "Basic")).and_then(credentials);
                let Some((user, password)) = basic else {
                    return Err(Box::new(to_login(method, uri, headers, cookies)));
                };
                match accounts.by_password(&user, &password, caller.address).await {
                    Ok((pass, looked)) => {
                        if looked {
                            audited.login(&user, caller.address);
                        }
                        Ok(pass)
                    }
                    Err(refused) => {
                        audited.refused(&user, caller.address, &refused);
                        Err(Box::new(sorry(&refused)))
                    }
                }
            }
        }
    }
}

/// What a refused login is told: a status, and a sentence.
#[must_use]
pub fn words(refused: &Refused) -> (StatusCode, String) {
    match refused {
        Refused::Wrong => (StatusCode::UNAUTHORIZED, "the name or the password is wrong".into()),
        Refused::Wait(left) => {
            let seconds = left.as_secs() + 1;
            (
                StatusCode::TOO_MANY_REQUESTS,
                format!("too many failed logins from this address; try again in {seconds} s"),
            )
        }
        Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too many log in at once; try again in a moment".into()),
    }
}

/// `Retry-After`, where there is something to wait for.
pub fn say_when(refused: &Refused, response: &mut Response) {
    if let Refused::Wait(left) = refused {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
    }
}

fn sorry(refused: &Refused) -> Response {
    let (status, sentence) = words(refused);
    let mut response = Sorry(status, sentence).into_response();
    say_when(refused, &mut response);
    response
}

/// The rest of an `Authorization` field of that scheme, whose name has no case (RFC 9110, section 11.1).
fn after_scheme<'a>(field: &'a str, scheme: &str) -> Option<&'a str> {
    field.split_once(' ').filter(|(name, _)| name.eq_ignore_ascii_case(scheme)).map(|(_, rest)| rest.trim())
}

/// Name and password of HTTP Basic (RFC 7617).
fn credentials(text: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// A link with the token becomes a cookie, and goes on without the token.
fn by_link(token: &Token, uri: &Uri, caller: &Caller, cookies: &Cookies) -> Option<Response> {
    let query = uri.query().unwrap_or_default();
    let (said, rest): (Vec<_>, Vec<_>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|p| p.starts_with("token="));
    let said = said.first()?.strip_prefix("token=")?;
    if !token.is(said) {
        return Some(unknown());
    }
    let rest = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    let mut response = moved(&format!("{}{rest}", uri.path()));
    cookies.set(token.as_str(), YEAR, caller.secure, &mut response);
    Some(response)
}

fn unknown() -> Response {
    let text = "use the link that `reclog web` printed, or send its token: `Authorization: Bearer TOKEN`";
    let mut response = Sorry(StatusCode::UNAUTHORIZED, text.into()).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Whether a person wants to see the page, rather than a script or the page itself something.
fn wants_page(method: &Method, uri: &Uri, headers: &HeaderMap, base: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    method == Method::GET && uri.path().strip_prefix(base) == Some("/") && accept.contains("text/html")
}

/// Who has no token sees where to get one. A link on a page of somebody else comes without the cookie (`SameSite`); the page that is
/// shown then looks whether there is one.
fn stranger(method: &Method, uri: &Uri, headers: &HeaderMap, cookies: &Cookies) -> Response {
    if !wants_page(method, uri, headers, &cookies.base) {
        return unknown();
    }
    let fields = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::UNAUTHORIZED, fields, assets::STRANGER).into_response()
}

fn to_login(method: &Method, uri: &Uri, headers: &HeaderMap, cookies: &Cookies) -> Response {
    if wants_page(method, uri, headers, &cookies.base) {
        return moved(&format!("{}/login", cookies.base));
    }
    let mut response = Sorry(StatusCode::UNAUTHORIZED, "log in first; scripts send HTTP Basic".into()).into_response();
    // A browser would put a window of its own in front of the page.
    if !headers.contains_key(HeaderName::from_static("sec-fetch-mode")) {
        let field = HeaderValue::from_static("Basic realm=\"reclog\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, field);
    }
    response
}

/// 303 to `to`.
#[must_use]
pub fn moved(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_has_no_case_and_a_password_may_hold_colons() {
        assert_eq!(after_scheme("bearer abc", "Bearer"), Some("abc"));
        assert_eq!(after_scheme("Bearerabc", "Bearer"), None);
        let encoded = STANDARD.encode("ann:a:b");
        assert_eq!(credentials(&encoded), Some(("ann".into(), "a:b".into())));
        for odd in ["", "!", &STANDARD.encode("ann"), &STANDARD.encode(b"\xff:x")] {
            assert_eq!(credentials(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_place_alone_and_secure_where_nobody_reads_along() {
        let cookies = Cookies { name: "reclog-1".into(), base: "/logs".into() };
        for (secure, end) in [(true, "Max-Age=9; Secure"), (false, "Max-Age=9")] {
            let mut response = StatusCode::OK.into_response();
            cookies.set("v", 9, secure, &mut response);
            let expected = format!("reclog-1=v; Path=/logs/; HttpOnly; SameSite=Strict; {end}");
            assert_eq!(response.headers()[header::SET_COOKIE], expected);
        }
    }
}
