#!/usr/bin/perl
# The file of st.login() for applications that are no Streamlit: the same application for plain WSGI and as a static page gets the same
# sign-in, without a line about it.

use strict;
use warnings;

use Test::More;
use OIDC::Chromium;
use OIDC::Nginx;
use OIDC::Real;

my $nginx = OIDC::Nginx->new;
my $site = 'http://localhost:' . $nginx->port('site');
my $provider = OIDC::Real->provider(redirect_uris => ["$site/oauth2callback"], post_logout_redirect_uris => ["$site/wsgi", "$site/"]);
my $app = OIDC::Real->start('twins/wsgi.py');
my $client = $provider->client('app');
$nginx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "$site/oauth2callback"
cookie_secret = "a cookie_secret of thirty-two bytes or more"
client_id = "$client->{client_id}"
client_secret = "$client->{client_secret}"
server_metadata_url = "@{[$provider->issuer]}/.well-known/openid-configuration"
END
$nginx->configure(http => <<"END");
oidc_secrets %%DIR%%/secrets.toml { logout_uri /logout; session_uri /me; post_logout_uri /; }
server {
    listen 127.0.0.1:%%PORT_site%%;
    server_name localhost;
    auth_oidc default;
    auth_oidc_anonymous allow;
    location / { types { text/html html; } root $OIDC::Nginx::CHECKOUT/t/real/twins; }
    location /wsgi {
        auth_oidc_set_header X-User-Name \$oidc_claim_name;
        auth_oidc_set_header X-User-Email \$oidc_claim_email;
        auth_oidc_set_header X-User-Groups \$oidc_claim_groups;
        auth_oidc_set_header X-User-Login \$oidc_login_url;
        auth_oidc_set_header X-User-Logout \$oidc_logout_url;
        proxy_pass http://127.0.0.1:@{[$app->port]};
    }
}
END
$nginx->start;
OIDC::Chromium::visit({ site => $site, issuer => $provider->issuer, provider => $provider, certificates => $nginx->dir }, 'twins');
$nginx->stop;
$_->stop for $provider, $app;
done_testing;
