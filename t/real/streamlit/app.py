# An application that knows nothing of nginx: what the documentation of st.login() shows, and a counter that tells whether
# its state survived. LOGINS: names for st.login(), with commas between; an empty one is st.login().
import os

import streamlit as st

st.session_state.setdefault("count", 0)
if st.user.is_logged_in:
    st.write(f"Hello, {st.user.name}!")
    st.write(f"email={st.user.email} groups={','.join(st.user.get('groups') or [])} provider={st.user.get('provider')}")
    tokens = st.user.get("tokens") or {}
    st.write(f"tokens={','.join(sorted(dict(tokens)))}.")
    if st.button("Count"):
        st.session_state.count += 1
    st.write(f"count={st.session_state.count}.")
    if st.button("Log out"):
        st.logout()
else:
    st.write("Hello, stranger!")
    for name in os.environ["LOGINS"].split(","):
        if st.button(f"Log in {name}".strip()):
            st.login(name) if name else st.login()
