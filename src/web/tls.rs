//! TLS: with a certificate that somebody brought, or one that is made here and known by its SHA-256.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::kept::Kept;
use crate::error::{Error, Result, io_reason};

/// The certificate that was made here, in the folder of the configuration.
const CERTIFICATE: &str = "web.cert.pem";
/// Its key.
const KEY: &str = "web.key.pem";

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files in PEM: the certificate with those that it needs behind it, and the key.
    Files(PathBuf, PathBuf),
    /// One that is made here, once.
    Own,
}

/// What speaks TLS.
pub struct Tls {
    /// Does the handshakes.
    pub acceptor: TlsAcceptor,
    /// `AA:BB:…`, the SHA-256 of the certificate, as browsers and openssl show it.
    pub fingerprint: String,
}

impl Tls {
    /// Reads the certificate of `source`, or makes it in `config`, for `names` beside this machine's.
    ///
    /// # Errors
    /// When the files cannot be read or written, or do not belong together.
    pub fn open(source: &Source, config: &Path, names: &[String]) -> Result<Self> {
        let (certificate, key) = match source {
            Source::Files(certificate, key) => (certificate.clone(), key.clone()),
            Source::Own => own(config, names)?,
        };
        let failed = |path: &Path, why: &dyn std::fmt::Display| {
            Error::failed(format!("cannot use the certificate {}: {why}", path.display()))
        };
        let pem = fs::read(&certificate).map_err(|e| failed(&certificate, &io_reason(&e)))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| failed(&certificate, &e))?;
        let first = chain.first().ok_or_else(|| {
            failed(&certificate, &"there is none in it").hint("it has to be PEM: -----BEGIN CERTIFICATE-----")
        })?;
        let digest = Sha256::digest(first);
        let fingerprint = digest.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":");
        let pem = fs::read(&key).map_err(|e| failed(&key, &io_reason(&e)))?;
        let key_der = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|e| failed(&key, &e).hint("it has to be a key in PEM without a passphrase"))?;
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
            .map_err(|e| failed(&certificate, &format!("{e} (key: {})", key.display())))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), fingerprint })
    }
}

/// The files of our own certificate, which are made when they are not there.
fn own(config: &Path, names: &[String]) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (config.join(CERTIFICATE), config.join(KEY));
    let are_there = || certificate.exists() && key.exists();
    if are_there() {
        return Ok((certificate, key));
    }
    let failed = |e: io::Error| {
        Error::failed(format!("cannot keep the certificate {}: {}", certificate.display(), io_reason(&e)))
    };
    let kept = Kept::lock(config).map_err(failed)?;
    if are_there() {
        // Another one has made it meanwhile.
        return Ok((certificate, key));
    }
    let (made, pair) = make(names).map_err(|e| Error::failed(format!("cannot make a certificate: {e}")))?;
    kept.write(KEY, &pair.serialize_pem()).and_then(|()| kept.write(CERTIFICATE, &made.pem())).map_err(failed)?;
    Ok((certificate, key))
}

fn make(names: &[String]) -> std::result::Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "reclog web");
    // Whoever trusts it does so by its digest, so that a short life would only be in the way.
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2074, 1, 1));
    let pair = KeyPair::generate()?;
    let made = params.self_signed(&pair)?;
    Ok((made, pair))
}

/// Names that a certificate of this machine should have.
#[must_use]
pub fn names(listens: IpAddr, hosts: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(super::hostname());
    names.extend(Some(listens).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
    names.extend(hosts.iter().cloned());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("new");
        let names = names("192.0.2.7".parse().unwrap(), &["logs.example.org".into()]);
        assert!(names.iter().any(|name| name == "192.0.2.7") && names.iter().any(|name| name == "logs.example.org"));
        let one = Tls::open(&Source::Own, &config, &names).unwrap().fingerprint;
        assert_eq!(one.len(), 32 * 3 - 1);
        assert_eq!(Tls::open(&Source::Own, &config, &[]).unwrap().fingerprint, one);
        assert_eq!(fs::metadata(config.join(KEY)).unwrap().mode() & 0o777, 0o600);
        let files = Source::Files(config.join(CERTIFICATE), config.join(KEY));
        assert_eq!(Tls::open(&files, folder.path(), &[]).unwrap().fingerprint, one);
    }

    #[test]
    fn what_is_no_certificate_or_not_of_that_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("1"), folder.path().join("2"));
        for config in [&one, &other] {
            Tls::open(&Source::Own, config, &["localhost".into()]).unwrap();
        }
        for (certificate, key, words) in [
            (one.join(CERTIFICATE), other.join(KEY), "key"),
            (one.join(KEY), one.join(KEY), "there is none in it"),
            (one.join(CERTIFICATE), one.join(CERTIFICATE), "cannot use the certificate"),
            (one.join("none"), one.join(KEY), "No such file"),
        ] {
            let error = Tls::open(&Source::Files(certificate, key), folder.path(), &[]).err().unwrap();
            assert!(error.message.to_lowercase().contains(&words.to_lowercase()), "{error}");
        }
    }
}
