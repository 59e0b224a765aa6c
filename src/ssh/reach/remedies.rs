//! Ways out, each a sentence with lines to paste below it. Pure.

use core::fmt::Write as _;

use super::facts::Firewall;
use super::verdict::Evidence;
use crate::ssh::doors::Family;

impl Evidence<'_> {
    /// How to see which program it is.
    pub(super) fn who_listens(&self) -> String {
        format!(
            "see who listens there ({}), end it and `reclog kick NAME`; or choose another port with --remote-port (0 lets \
             the jump host choose):\n  sudo ss -ltnp 'sport = :{}'",
            self.there(),
            self.port
        )
    }

    /// The lines of sshd that open the port to others. A session keeps the configuration that it began with.
    pub(super) fn gateway_ports(&self, begin: &str) -> String {
        format!(
            "{begin} its sshd open the port to others ({}): as root, at the end of /etc/ssh/sshd_config\n  \
             Match User {}\n    GatewayPorts clientspecified\nand then\n  systemctl reload ssh || systemctl reload sshd\n\
             and here, for a collector that runs\n  reclog kick NAME",
            self.there(),
            self.user
        )
    }

    /// The commands that let the port through.
    pub(super) fn firewall(&self) -> String {
        let port = self.port;
        let v6 = self.outside.iter().any(|a| a.failed() && a.family() == Some(Family::V6));
        let lines = match self.facts.firewalls.first() {
            Some(Firewall::Ufw) => format!("  sudo ufw allow {port}/tcp"),
            Some(Firewall::Firewalld) => {
                format!("  sudo firewall-cmd --permanent --add-port={port}/tcp\n  sudo firewall-cmd --reload")
            }
            Some(Firewall::Nft) => format!(
                "  sudo nft insert rule inet filter input tcp dport {port} accept\n\
                 (`sudo nft list ruleset` shows how table and chain are called there)"
            ),
            Some(Firewall::Iptables) | None => {
                let mut lines = format!("  sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT");
                if v6 {
                    let _ = write!(lines, "\n  sudo ip6tables -I INPUT -p tcp --dport {port} -j ACCEPT");
                }
                lines
            }
        };
        let which = if self.facts.firewalls.is_empty() { ", or what its firewall has for that" } else { "" };
        format!("let the port in there ({}){which}:\n{lines}", self.there())
    }

    /// The lines of sshd for both families.
    pub(super) fn address_family(&self) -> String {
        format!(
            "let its sshd open ports over both families ({}): as root, in /etc/ssh/sshd_config\n  AddressFamily any\nand \
             then\n  systemctl restart ssh || systemctl restart sshd\nand here, for a collector that runs\n  reclog kick NAME",
            self.there()
        )
    }
}
