//! Logging in and out in a browser.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::accounts::Refused;
use super::api::Sorry;
use super::assets;
use super::audited::Audited;
use super::gate::{Caller, Cookies, Gate, moved, say_when, words};
use super::session::LASTS;

/// Bytes of a login.
const LONGEST_FORM: usize = 16 * 1024;
/// It is there within this time.
const FORM: Duration = Duration::from_secs(10);
/// Bytes of the part of an address that says what is looked at.
const LONGEST_NEXT: usize = 4096;

/// What a login is made of. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Who may.
    pub gate: Gate,
    /// Where it is kept.
    pub cookies: Cookies,
    /// Where it is told.
    pub audited: Audited,
}

/// Its places, below the base.
pub fn router(desk: Desk) -> Router {
    Router::new().route("/login", get(show).post(login)).route("/logout", post(logout)).with_state(desk)
}

async fn show() -> Response {
    page(StatusCode::OK, "", "")
}

/// The form. `said` and `next` are put in as text.
fn page(status: StatusCode, said: &str, next: &str) -> Response {
    let escaped =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let text = assets::LOGIN.replace("{said}", &escaped(said)).replace("{next}", &escaped(next));
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

#[derive(Default)]
struct Form {
    user: String,
    password: String,
    next: String,
}

/// Reads a form (URL Standard, section 5).
async fn read(body: Body) -> Result<Form, Sorry> {
    let slow = |_| Sorry(StatusCode::REQUEST_TIMEOUT, "the form did not come in time".into());
    let bytes = tokio::time::timeout(FORM, to_bytes(body, LONGEST_FORM)).await.map_err(slow)?;
    let bytes = bytes.map_err(|_| Sorry(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long".into()))?;
    let mut form = Form::default();
    for (key, value) in form_urlencoded::parse(&bytes) {
        let field = match &*key {
            "user" => &mut form.user,
            "password" => &mut form.password,
            "next" => &mut form.next,
            _ => continue,
        };
        *field = value.into_owned();
    }
    Ok(form)
}

/// The part of the address behind `#`, which is all that leads anywhere: the page has one path.
fn next(text: &str) -> &str {
    let fits = text.starts_with('#') && text.len() <= LONGEST_NEXT && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { text } else { "" }
}

async fn login(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Sorry> {
    let Gate::Users(accounts) = &desk.gate else {
        return Err(Sorry(StatusCode::NOT_FOUND, "there is nothing here".into()));
    };
    let form = read(request.into_body()).await?;
    let next = next(&form.next);
    let let_in = accounts.by_password(&form.user, &form.password, caller.address).await;
    let cookie = let_in.and_then(|_| accounts.cookie(&form.user).ok_or(Refused::Wrong));
    match cookie {
        Ok(cookie) => {
            desk.audited.login(&form.user, caller.address);
            let mut response = moved(&format!("{}/{next}", desk.cookies.base));
            desk.cookies.set(&cookie, LASTS, caller.secure, &mut response);
            Ok(response)
        }
        Err(refused) => {
            desk.audited.refused(&form.user, caller.address, &refused);
            let (status, sentence) = words(&refused);
            let mut response = page(status, &sentence, next);
            say_when(&refused, &mut response);
            Ok(response)
        }
    }
}

async fn logout(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Extension(pass): Extension<super::users::Pass>,
) -> Response {
    if let Some(user) = &pass.sight.user {
        desk.audited.logout(user, caller.address);
    }
    let mut response = moved(&format!("{}/login", desk.cookies.base));
    desk.cookies.set("", 0, caller.secure, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_a_view_of_this_page_and_nowhere_else() {
        assert_eq!(next("#s=home/main&e=a%20b"), "#s=home/main&e=a%20b");
        let long = format!("#{}", "x".repeat(LONGEST_NEXT));
        for odd in ["", "//evil.example", "http://evil.example", "/x", "#a\r\nSet-Cookie: x", "# ", long.as_str()] {
            assert_eq!(next(odd), "", "{odd}");
        }
    }

    #[tokio::test]
    async fn a_form_is_read_and_bounded() {
        let form = read(Body::from("user=ann&password=a%26b+c&next=%23s%3Dx&odd=1")).await.ok().unwrap();
        assert_eq!((form.user.as_str(), form.password.as_str(), form.next.as_str()), ("ann", "a&b c", "#s=x"));
        let long = read(Body::from(vec![b'x'; LONGEST_FORM + 1])).await.err().unwrap();
        assert_eq!(long.0, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(Body::from(&b"user=a b\xff"[..])).await.ok().unwrap().user, "a b\u{fffd}");
    }

    #[test]
    fn what_was_typed_is_text_in_the_form() {
        let text = axum::body::to_bytes(page(StatusCode::OK, "<b>", "#\"><script>").into_body(), 1 << 20);
        let text = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(text).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains("&lt;b&gt;") && text.contains("#&quot;&gt;&lt;script&gt;") && !text.contains("{said}"));
    }
}
