//! What the kernel says of datagrams that it threw away. Pure.

/// The drops of the socket `inode` in the text of `/proc/net/udp` or `/proc/net/udp6` (proc(5)): the tenth field is the
/// inode, the last one counts, modulo 2³².
#[must_use]
pub fn of(table: &str, inode: u64) -> Option<u32> {
    let wanted = inode.to_string();
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let found = fields.nth(9)? == wanted;
        if found { fields.last()?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n \
        323: 0100007F:14EB 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 11111 2 0000000000000000 7         \n \
        444: 00000000:D8DA 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 22222 2 0000000000000000 4294967295\n";

    #[test]
    fn the_drops_of_one_socket_are_found_by_its_inode() {
        assert_eq!((of(TABLE, 11111), of(TABLE, 22222)), (Some(7), Some(u32::MAX)));
        assert_eq!((of(TABLE, 1111), of(TABLE, 0), of("", 11111)), (None, None, None));
        assert_eq!(of("head\nshort line\n1 2 3 4 5 6 7 8 9 5\n", 5), None, "no field behind it");
    }
}
