# auth_oidc_streamlit: Streamlit's three paths are ours, and its upstream gets an identity that it takes for its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Streamlit qw(provider_token read_identity);
use OIDC::Test;

my $secret = '0123456789abcdef0123456789abcdef';
secret($secret);
my $op = OIDC::Provider->new;

# A site with the file; `file` is added to [auth], `block` to oidc_secrets, `server` and `location` to theirs.
sub site_with {
    my (%option) = @_;
    my $path = $option{path} // '';
    my $ngx = OIDC::Nginx->new(http => $op->tls_front . OIDC::Test::app_conf() . <<"END");
        oidc_secrets %%DIR%%/secrets.toml { ssl_trusted_certificate @{[$op->ca]}; @{[$option{block} // '']} }
        @{[$option{http} // '']}
        server {
            listen 127.0.0.1:%%PORT_site%%;
            server_name localhost;
            auth_oidc default house;
            auth_oidc_streamlit on;
            @{[$option{server} // 'auth_oidc_anonymous allow;']}
            location / { @{[$option{location} // '']} proxy_pass http://127.0.0.1:%%PORT_app%%; }
            location /other/ { auth_oidc off; auth_oidc_streamlit off; proxy_pass http://127.0.0.1:%%PORT_app%%; }
            location /moved/ { error_page 502 = \@moved; proxy_pass http://127.0.0.1:%%PORT_nobody%%; }
            location \@moved { auth_oidc_streamlit off; proxy_pass http://127.0.0.1:%%PORT_app%%; }
            location /parts/ { ssi on; ssi_types *; default_type text/html; root %%DIR%%; }
        }
END
    my $client = join '', map { "$_\n" } 'client_id = "' . $op->client_id . '"', 'client_secret = "' . $op->client_secret . '"',
        'server_metadata_url = "' . $op->issuer . '/.well-known/openid-configuration"';
    $ngx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "http://localhost:%%PORT_site%%$path/oauth2callback"
cookie_secret = "$secret"
@{[$option{file} // '']}
$client
[auth.house]
$client
END
    $ngx->start;
    return ($ngx, OIDC::Test::browser($ngx, $op));
}

sub line_of { my ($answer) = @_; return $answer->body =~ /^cookie=(.*)$/m ? $1 : undef }
sub identity { my ($answer) = @_; return read_identity($secret, line_of($answer)) }

my ($ngx, $browser) = site_with();
my $base = 'http://localhost:' . $ngx->port('site');

subtest 'what a client sends does not pass' => sub {
    my $raw = sub { my ($line) = @_; return line_of($browser->fresh->request('GET', '/app', headers => { Cookie => $line })) };
    for my $name ('_streamlit_user', '_streamlit_user_1', '_streamlit_user_tokens', '_streamlit_user_tokens_2', '_streamlit_session', "\xa0_streamlit_user", "\x85_streamlit_user", "\x0b_streamlit_user", '_streamlit_user ', "_streamlit_session\x1f") {
        my $shown = $name =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
        is $raw->("a=1; $name=forged;  b=2"), 'a=1;  b=2', "\"$shown\" is gone, and the rest is as it was";
        is $raw->("$name=forged"), '', "\"$shown\" alone";
    }
    is $raw->('_streamlit_xsrf=2|a|b|1; x="_streamlit_user=1"; my_streamlit_user=2; _STREAMLIT_USER=3'), '_streamlit_xsrf=2|a|b|1; x="_streamlit_user=1"; my_streamlit_user=2; _STREAMLIT_USER=3', 'others stay';
    is line_of($browser->fresh->request('GET', '/other/app', headers => { Cookie => '_streamlit_user=forged; a=1' })), 'a=1', 'nor does it in another location of this server';
};

subtest '/auth/login' => sub {
    my $asks = sub {
        my ($query, %more) = @_;
        my $answer = $browser->fresh->get("/auth/login$query", follow => 0, %more);
        return $answer->status . ' ' . (($answer->header('Location') // '') =~ m{/authorize\?} ? 'to the provider' : 'here');
    };
    my $token = sub { return '?provider=' . provider_token($secret, @_) };
    is $asks->('?provider=house'), '302 to the provider', 'a plain name';
    is $asks->($token->('house')), '302 to the provider', 'the token of st.login("house")';
    is $asks->($token->('default')), '302 to the provider', 'and that of st.login()';
    is $asks->('?provider=none'), '400 here', 'an unknown name';
    is $asks->($token->('none')), '400 here', 'an unknown name in a token';
    is $asks->($token->('house', secret => 'x' x 32)), '400 here', 'a forged token';
    is $asks->($token->('house', alg => 'none')), '400 here', 'an unsigned one';
    is $asks->($token->('house', payload => { exp => time - 1 })), '400 here', 'one that is too old';
    is $asks->($token->('house', payload => { exp => undef })), '400 here', 'one without an end';
    is $asks->($token->('house', payload => { provider => undef })), '400 here', 'one without a name';
    is $asks->($token->('house', payload => { provider => ['house'] })), '400 here', 'one with a list';
    is $asks->($token->('house') . 'x'), '400 here', 'one with a letter more';
    is $asks->(''), '200 here', 'nothing: the choice';
};

subtest 'back to where st.login() was clicked' => sub {
    my $back = sub {
        my ($referer, $site) = @_;
        my $visitor = ($site // $browser)->fresh;
        return $visitor->login('/auth/login?provider=house', headers => $referer ? { Referer => $referer } : {}, until => 'callback')->header('Location');
    };
    is $back->("$base/page?a=b#c"), "$base/page?a=b", 'a page of this site';
    is $back->('https://other.example/page'), "$base/", 'another site: the front page';
    is $back->(), "$base/", 'none: likewise';
    is $back->("$base/auth/login?provider=x"), "$base/", 'a page of ours: likewise';
    is $browser->fresh->login('/auth/login?provider=house&return_to=/there', headers => { Referer => "$base/page" }, until => 'callback')->header('Location'), "$base/there", 'return_to is more';
};

subtest 'signed in' => sub {
    my $page = $browser->login('/auth/login?provider=house&return_to=/app');
    is $page->status, 200, 'somebody';
    my $seen = identity($page);
    ok $seen, 'the application gets an identity of Streamlit, well signed';
    is $seen->{user}{name}, 'Alice Liddell', 'with the claims';
    is_deeply $seen->{user}{groups}, [qw(staff admin)], 'lists among them';
    is $seen->{user}{origin}, $base, 'the origin';
    is $seen->{user}{provider}, 'house', 'the provider';
    is $seen->{user}{is_logged_in}, JSON::PP::true, 'and the word that it is one';
    ok exists $seen->{user}{nonce}, 'all that the ID token has';
    is $seen->{tokens}, undef, 'no tokens';
    my $age = time - $seen->{stamp};
    ok $age >= 60 && $age < 120, 'dated back a minute' or diag $age;
    unlike line_of($page), qr/NGX_OIDC/, 'and no cookie of ours';
    is_deeply identity($browser->get('/app'))->{user}, $seen->{user}, 'the same at the next request';
    is_deeply identity($browser->request('GET', '/_stcore/stream', kind => 'websocket'))->{user}, $seen->{user}, 'and at the handshake';
    my $ours = $browser->cookies->find('NGX_OIDC_SESSION_house');
    my $line = line_of($browser->request('GET', '/app', headers => { Cookie => qq(a=1;b="2" ; _streamlit_user=x;$ours->{name}=$ours->{value}; c) }));
    like $line, qr/^a=1;b="2" ; c; _streamlit_user=\S+$/, 'behind the rest of the line, which is as it came';
    is identity($browser->get('/other/app')), undef, 'another location gets none';
    is identity($browser->get('/moved/app')), undef, 'nor does it after an internal redirect';
    ok !$browser->cookies->find('_streamlit_user'), 'the browser never holds one';
};

subtest 'a part of a page' => sub {
    mkdir $ngx->dir . '/parts';
    chmod 0755, $ngx->dir, $ngx->dir . '/parts';
    $ngx->write_file('parts/page', "own <!--#include virtual=\"/app\" --> other <!--#include virtual=\"/other/app\" -->\n");
    my $body = $browser->get('/parts/page')->body;
    my ($own, $other) = $body =~ /^cookie=(.*)$/mg;
    ok read_identity($secret, $own), 'from the application: with the identity';
    is read_identity($secret, $other), undef, 'from another one: without';
};

subtest 'signing out' => sub {
    my $visitor = $browser->fresh;
    $visitor->login('/auth/login?provider=house&return_to=/app');
    my $out = $visitor->get('/auth/logout', from => "$base/app", follow => 0);
    is $out->status, 302, 'a redirect';
    like $out->header('Location'), qr{/end_session\?}, 'to the provider';
    is $out->query->{post_logout_redirect_uri}, "$base/oauth2callback", 'with the callback as the way back';
    is $out->query->{client_id}, $op->client_id, 'and the client';
    my $back = $visitor->get('/oauth2callback?state=' . $out->query->{state}, follow => 0);
    is $back->status . ' ' . $back->header('Location'), "302 $base/", 'which leads to the application';
    is identity($visitor->get('/app')), undef, 'where nobody is signed in any more';
    is $browser->fresh->get('/oauth2callback', follow => 0)->header('Location'), "$base/", 'the callback without anything';
    is $browser->fresh->get('/oauth2callback?state=x', follow => 0)->header('Location'), "$base/", 'with a state that nobody sent';
    is $browser->fresh->get('/oauth2callback?code=x&state=y', follow => 0)->status, 400, 'but not with a code';
    is $browser->fresh->get('/oauth2callback?error=x&state=y', follow => 0)->status, 400, 'nor with an error';
    $visitor->login('/auth/login?provider=house&return_to=/app');
    $out = $visitor->get('/auth/logout?return_to=/bye', from => "$base/app", follow => 0);
    is $visitor->get('/oauth2callback?state=' . $out->query->{state}, follow => 0)->header('Location'), "$base/bye", 'return_to is followed';
};
$ngx->stop;

subtest 'with a prefix' => sub {
    my ($nginx, $visitor) = site_with(path => '/house');
    my $origin = 'http://localhost:' . $nginx->port('site');
    is $visitor->login('/house/auth/login?provider=house', until => 'callback')->header('Location'), "$origin/house/", 'signing in leads to the base';
    is identity($visitor->get('/house/app'))->{user}{origin}, $origin, 'the origin has no path';
    is $visitor->get('/house/oauth2callback', follow => 0)->header('Location'), "$origin/house/", 'so does the callback without anything';
    is $visitor->get('/house/auth/logout', from => "$origin/house/", follow => 0)->query->{post_logout_redirect_uri}, "$origin/house/oauth2callback", 'and the way back from signing out';
    $nginx->stop;
};

subtest 'tokens' => sub {
    for my $case (['"id"', ['id_token']], ['["id", "access"]', [qw(access_token id_token)]]) {
        my ($value, $names) = @$case;
        my ($nginx, $visitor) = site_with(file => "expose_tokens = $value");
        my $seen = identity($visitor->login('/auth/login?provider=house&return_to=/app'));
        is_deeply [sort keys %{ $seen->{tokens} }], $names, "expose_tokens = $value";
        $nginx->stop;
    }
};

subtest 'frozen at login' => sub {
    for my $case (['', 'the first ones'], ['session_refresh on;', 'fresh ones where a refresh is asked for']) {
        my ($block, $name) = @$case;
        my $nginx;
        $op->with(token => { set => { expires_in => 1 } }, refresh => { set => { expires_in => 3600 } }, sub {
            ($nginx, my $visitor) = site_with(file => 'expose_tokens = "access"', block => "session_store sessions; session_recheck 1s; $block", http => 'keyval_zone zone=sessions:1m;');
            my $first = identity($visitor->login('/auth/login?provider=house&return_to=/app'));
            my $again;
            $op->forget;
            $op->with(claims => { name => 'Alice Renamed' }, sub {
                OIDC::Nginx::wait_until(sub { $again = $visitor->get('/app'); $op->count('refresh') });
                $again = $visitor->get('/app');
            });
            my $seen = identity($again);
            is_deeply $seen->{user}, $first->{user}, "claims stay after a refresh ($name)";
            $block ? isnt($seen->{tokens}{access_token}, $first->{tokens}{access_token}, $name) : is($seen->{tokens}{access_token}, $first->{tokens}{access_token}, "tokens are $name");
        });
        $nginx->stop;
    }
};

subtest 'large identities' => sub {
    # A sealed cookie would be too large before: these are in a zone.
    my ($nginx, $visitor) = site_with(http => 'keyval_zone zone=sessions:1m;', block => 'session_store sessions;');
    my $login = sub {
        my (%claims) = @_;
        my $answer;
        $op->with(claims => \%claims, sub { $answer = $visitor->fresh->login('/auth/login?provider=house&return_to=/app') });
        return $answer;
    };
    my $seen = identity($login->(note => 'again and ' x 1500));
    ok $seen->{packed}, 'much of the same is compressed';
    is $seen->{user}{note}, 'again and ' x 1500, 'and comes out whole';
    # Noise does not get smaller: what decides is the length. The texts are the same in every run.
    my $noise = sub { my ($size) = @_; my $text = ''; my $n = 1; while (length $text < $size) { $n = ($n * 1103515245 + 12345) % 2147483648; $text .= chr(33 + $n / 65536 % 90) } return substr($text, 0, $size) =~ tr/"\\/##/r };
    my ($low, $high) = (6000, 9000);
    while ($high - $low > 40) {
        my $middle = int(($low + $high) / 2);
        ($login->(note => $noise->($middle))->status == 200 ? $low : $high) = $middle;
    }
    my $largest = $login->(note => $noise->($low));
    cmp_ok length line_of($largest), '<', 8000, 'the largest one still fits into 8000 bytes';
    cmp_ok length line_of($largest), '>', 7800, 'and there is little room left';
    $seen = identity($largest);
    is $seen->{user}{nonce}, undef, 'it lost what only the protocol needs';
    is $seen->{user}{name}, 'Alice Liddell', 'and nothing else';
    my $refused = $login->(note => $noise->($high + 500));
    is $refused->status, 500, 'what does not fit is refused';
    unlike $refused->body, qr/^app /m, 'and does not reach the application';
    like $nginx->error_log, qr/identity for Streamlit failed, provider "house", problem \w+, fault us, rule streamlit_identity: with the identity in it the Cookie line would be longer than 8000 bytes/, 'with a line in the log';
    $nginx->stop;
};

subtest 'an ended session' => sub {
    my ($nginx, $visitor) = site_with(server => 'auth_oidc_anonymous auto;');
    $visitor->login('/auth/login?provider=house&return_to=/app');
    is $visitor->request('GET', '/_stcore/stream', kind => 'websocket')->status, 200, 'the handshake passes with a session';
    $visitor->get('/auth/logout', from => 'http://localhost:' . $nginx->port('site') . '/app', follow => 0);
    is $visitor->request('GET', '/_stcore/stream', kind => 'websocket')->status, 401, 'and is 401 without';
    $nginx->stop;
};

like conf_error(OIDC::Test::provider_conf($op) . 'server { listen 127.0.0.1:1; server_name a; auth_oidc my_idp; auth_oidc_streamlit on; }'),
    qr/^"auth_oidc_streamlit" needs providers of "oidc_secrets", and "my_idp" in "auth_oidc" is none/, 'a provider that is not from the file';
like conf_error(OIDC::Test::provider_conf($op) . 'server { auth_oidc_streamlit maybe; }'), qr/^invalid value "maybe" in "auth_oidc_streamlit" directive, it must be "on" or "off"/, 'neither on nor off';

done_testing;
