_artifact_store() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() last=-1 before='' quote='' i candidate
    # Bash breaks words at : and =, too. Those are one word that have no blank between them.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if ((last < 0)) || [[ $rest == [[:blank:]]* ]]; then
            ((++last))
            words[last]=''
            rest=${rest#"${rest%%[![:blank:]]*}"}
        fi
        if ((i == COMP_CWORD)); then
            before=${words[last]}
            # A break itself is not replaced.
            [[ $rest == [:=] ]] && before+=$rest
            words[last]+=$rest
        else
            words[last]+=${COMP_WORDS[i]}
            rest=${rest#"${COMP_WORDS[i]}"}
        fi
    done
    [[ ${words[last]} == [\'\"]* ]] && quote=${words[last]:0:1}
    for i in "${!words[@]}"; do
        words[i]=${words[i]//[\\\'\"]/}
    done
    COMPREPLY=()
    while IFS= read -r candidate; do
        # Inside of quotes, and in an option, nothing needs any.
        [[ $quote || $candidate == -* ]] || printf -v candidate %q "$candidate"
        COMPREPLY+=("${candidate#"$before"}")
    done < <(VARIABLE=bash NAME -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null || true
    fi
}
complete -F _artifact_store NAME
