//! What a question has to pass before it is answered: the guard, the gate; and what every answer carries.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::api::{Held, Sorry};
use super::audited::Audited;
use super::gate::{Caller, Cookies, Gate, moved};
use super::guard::{self, Claims};
use super::places::Busy;
use super::proxy::{Forwarded, Proxies};
use super::users::Pass;

/// The way in.
pub struct Admission {
    /// The answers, below the base.
    pub router: Router,
    /// Who gets in.
    pub gate: Gate,
    /// How a browser is known again, and what stands before every path.
    pub cookies: Cookies,
    /// Names that `Host` may have.
    pub hosts: Vec<String>,
    /// Who may speak for others.
    pub proxies: Proxies,
    /// The connections are TLS.
    pub tls: bool,
    /// Where logins are told.
    pub audited: Audited,
}

impl Admission {
    /// The answer to `request`, which came `from` there.
    pub async fn respond(&self, request: Request, from: Option<IpAddr>, busy: Option<Busy>) -> Response {
        let (mut response, until) = match self.admit(request, from).await {
            Ok((request, pass)) => {
                let Ok(response) = TowerToHyperService::new(self.router.clone()).call(request).await;
                (response, pass.map(|pass| Box::pin(pass.until.cancelled_owned())))
            }
            Err(response) => (*response, None),
        };
        for (name, value) in guard::FIELDS {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let held = response.extensions_mut().remove::<Held>();
        response.map(|body| Body::new(Answer { body, until, _busy: busy, _held: held }))
    }

    /// The request as the router knows it, or what is answered instead. No pass: everybody may go there.
    async fn admit(
        &self,
        mut request: Request,
        from: Option<IpAddr>,
    ) -> Result<(Request, Option<Pass>), Box<Response>> {
        let sorry = |status, text: &str| Box::new(Sorry(status, text.to_owned()).into_response());
        let headers = request.headers();
        let text = |name: HeaderName| headers.get_all(name).iter().next_back().and_then(|v| v.to_str().ok());
        let addresses: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
        let client = {
            let (host, proto) =
                (text(HeaderName::from_static("x-forwarded-host")), text(HeaderName::from_static("x-forwarded-proto")));
            self.proxies.client(from, Forwarded { addresses: &addresses, host, proto })
        };
        let claims = Claims {
            host: client.host.or_else(|| only(headers, &header::HOST)),
            origin: text(header::ORIGIN),
            site: text(HeaderName::from_static("sec-fetch-site")),
            mode: text(HeaderName::from_static("sec-fetch-mode")),
        };
        if let Some(why) = guard::objection(claims, &self.hosts) {
            return Err(sorry(StatusCode::FORBIDDEN, why));
        }
        let caller = Caller { address: client.address, secure: self.tls || client.secure };
        let path = request.uri().path();
        let base = &self.cookies.base;
        let below = path.strip_prefix(base.as_str()).filter(|below| below.is_empty() || below.starts_with('/'));
        let Some(below) = below else {
            return Err(sorry(StatusCode::NOT_FOUND, "there is nothing here"));
        };
        let done = request.method() == Method::POST && self.gate.is_done_at(below);
        if !done && ![Method::GET, Method::HEAD].contains(request.method()) {
            return Err(sorry(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: GET"));
        }
        if below.is_empty() {
            return Err(Box::new(moved(&format!("{base}/"))));
        }
        let pass = if self.gate.is_public(below) {
            None
        } else {
            let asked = (request.method(), request.uri(), headers);
            Some(self.gate.pass(asked, &caller, &self.cookies, &self.audited).await?)
        };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(uri) = format!("{below}{query}").parse::<Uri>() else {
            return Err(sorry(StatusCode::BAD_REQUEST, "the address cannot be read"));
        };
        *request.uri_mut() = uri;
        request.extensions_mut().insert(caller);
        if let Some(pass) = &pass {
            request.extensions_mut().insert(pass.clone());
        }
        Ok((request, pass))
    }
}

/// The value of a field that must not be there twice.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut fields = headers.get_all(name).iter();
    let field = fields.next()?;
    fields.next().is_none().then(|| field.to_str().ok()).flatten()
}

/// An answer that ends in the middle when whoever reads it may no longer.
struct Answer {
    body: Body,
    until: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _busy: Option<Busy>,
    _held: Option<Held>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err(axum::Error::new("no longer allowed"))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
