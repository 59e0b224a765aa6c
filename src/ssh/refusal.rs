//! Which rule of the jump host a refused port most likely ran into, and what would allow it.

use crate::error::Error;

/// The error for `port` on `bind`, which `target` refused to open.
#[must_use]
pub fn explain(target: &str, bind: &str, port: u16) -> Error {
    let error = Error::refused(format!("{target} refused to open port {port} on {bind}"));
    if port != 0 && port < 1024 {
        return error.hint(format!("ports below 1024 need root on the jump host; choose a higher one than {port}"));
    }
    error.hint(format!("the port may be taken there: `ss -ltn 'sport = :{port}'` on the jump host shows it")).hint(
        format!(
            "or its rules forbid it: sshd_config AllowTcpForwarding, DisableForwarding, PermitListen; \
             authorized_keys restrict, no-port-forwarding, permitlisten=\"{port}\""
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_below_1024_names_the_likely_rule() {
        assert!(explain("t", "*", 514).hint_text().unwrap().contains("root"));
        let error = explain("t", "*", 5514);
        assert_eq!(error.kind.exit_code(), 4);
        assert!(error.hint_text().unwrap().contains("permitlisten=\"5514\""));
    }
}
