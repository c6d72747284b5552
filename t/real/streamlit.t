#!/usr/bin/perl
# The identity that we make is read by Streamlit's own code; what was changed in any place, or signed with another secret, is not.

use strict;
use warnings;

use JSON::PP ();
use OIDC::StreamlitApp;
use OIDC::Test;

if (my $why = OIDC::StreamlitApp::missing()) {
    plan skip_all => $why;
}

my $secret = 'a cookie_secret of thirty-two bytes or more';
secret($secret);
my $op = OIDC::Provider->new;
my $nginx = OIDC::Nginx->new(http => $op->tls_front . OIDC::Test::app_conf() . <<"END");
    oidc_secrets %%DIR%%/secrets.toml { ssl_trusted_certificate @{[$op->ca]}; }
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name localhost;
        auth_oidc default;
        auth_oidc_streamlit on;
        location / { proxy_pass http://127.0.0.1:%%PORT_app%%; }
    }
END
$nginx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "http://localhost:%%PORT_site%%/oauth2callback"
cookie_secret = "$secret"
client_id = "@{[$op->client_id]}"
client_secret = "@{[$op->client_secret]}"
server_metadata_url = "@{[$op->issuer]}/.well-known/openid-configuration"
END
$nginx->start;
my $code = <<'END';
import json, sys, time
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value as read
secret, value = sys.argv[1], sys.argv[2]
user = json.loads(read(secret, "_streamlit_user", value))
taken = [i for i in range(len(value)) if read(secret, "_streamlit_user", value[:i] + ("B" if value[i] == "A" else "A") + value[i + 1:]) not in (None, read(secret, "_streamlit_user", value))]
now, day = time.time, 86400
def at(days):
    time.time = lambda: now() + days * day
    return read(secret, "_streamlit_user", value) is not None
old = [at(days) for days in (29, 32)]
time.time = now
print(json.dumps({"old": old, "user": user, "changed and taken": taken, "other secret": read(secret + "x", "_streamlit_user", value), "other name": read(secret, "_streamlit_user_tokens", value)}))
END
for my $case (['small', {}], ['large', { note => 'again and ' x 100, name => "Zo\x{eb} \x{17d} \x{1f600}", groups => [map { "group $_" } 1 .. 20] }]) {
    my ($size, $claims) = @$case;
    $op->with(claims => $claims, sub {
        my $browser = OIDC::Test::browser($nginx, $op);
        my ($value) = $browser->login('/app')->body =~ /_streamlit_user=([^;\s]+)/;
        my $seen = JSON::PP->new->utf8->decode(OIDC::StreamlitApp::python($code, $secret, $value));
        is $seen->{user}{name}, $claims->{name} // 'Alice Liddell', "$size: Streamlit reads the name";
        is $seen->{user}{is_logged_in}, JSON::PP::true, "$size: and that somebody is signed in";
        is_deeply $seen->{user}{groups}, $claims->{groups} // [qw(staff admin)], "$size: and lists";
        is_deeply $seen->{'changed and taken'}, [], "$size: no change in any place is taken";
        is_deeply $seen->{old}, [JSON::PP::true, JSON::PP::false], "$size: after 29 days it is taken, after 32 it is too old";
        is $seen->{'other secret'}, undef, "$size: nor another secret";
        is $seen->{'other name'}, undef, "$size: nor another name";
    });
}
$nginx->stop;
done_testing;
