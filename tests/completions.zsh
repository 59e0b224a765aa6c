# What zsh offers after the line $2 with the completion functions in the folder $1, one match a line; $3 is a scratch file.
# The inner zsh has a terminal of its own, where someone types the line and a tab. Its matches go to the file, not to
# the screen, so that nothing of what a terminal shows has to be understood.
zmodload zsh/zpty
: >| $3
zpty inner zsh -f -i
zpty -w inner "scratch=${(q)3}; fpath=(${(q)1} \$fpath)"
# With -O, -A or -D compadd only filters. (No comments inside: a line editor reads this.)
zpty -w inner 'autoload -Uz compinit; compinit -u -D; zmodload zsh/complete zsh/complist zsh/parameter zsh/zutil
compadd() {
    local -a hits
    local word filters=
    for word; do case $word in (-|--) break;; (-[OAD]) filters=1;; esac; done
    if [[ -z $filters ]]; then builtin compadd -O hits "$@"; print -rl -- $hits >>$scratch; fi
    builtin compadd "$@"
}
comppostfuncs=(exit)
bindkey "^I" complete-word
print re""ady'
zpty -r inner said '*ready*'
zpty -w -n inner "$2"$'\t'
while zpty -r inner said; do :; done
sort -u $3 | grep .
