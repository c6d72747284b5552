package OIDC::Test;

# What most tests need in one line: my ($ngx, $op, $browser) = site(); is login('/app')->status, 200;
# Exports Test::More too. done_testing stops everything first, and with it come the assertions about the logs.

use strict;
use warnings;

use Exporter 'import';
use OIDC::Browser;
use OIDC::Form qw(escape form_decode form_encode random_token unescape);
use OIDC::Nginx;
use OIDC::Provider;
use OIDC::Response;
use Test::More import => ['!done_testing'];

our @EXPORT = (
    (grep { /^\w/ } @Test::More::EXPORT), qw(site site_conf provider_conf app_conf browser login get post raw curl has_session conf_error conf_warnings quoted
        escape unescape form_decode form_encode random_token secret),
);

my $browser;

sub done_testing {
    OIDC::Nginx::stop_all();
    OIDC::Provider::stop_all();
    Test::More::done_testing(@_);
}

# As a quoted value of nginx's configuration.
sub quoted { my ($text) = @_; return '"' . ($text =~ s/(["\\])/\\$1/gr) . '"' }

sub secret { OIDC::Nginx::secret(@_) }

# The oidc_provider block of a mock provider.
sub provider_conf {
    my ($op, %option) = @_;
    my $name = $option{name} // 'my_idp';
    my $secret = $op->{config}{auth_method} =~ /^client_secret/ ? 'client_secret ' . quoted($op->client_secret) . ';' : '';
    my $trust = $op->{config}{tls} ? 'ssl_trusted_certificate ' . $op->ca . ';' : '';
    my $more = $option{provider} // '';
    return <<"END";
    oidc_provider $name {
        issuer @{[$op->issuer]};
        client_id @{[quoted($op->client_id)]};
        $secret
        $trust
        $more
    }
END
}

# An application behind us, which shows in its body what reached it.
sub app_conf {
    return <<'END';
    server {
        listen 127.0.0.1:%%PORT_app%%;
        access_log off;
        location / { return 200 "app $request_method $request_uri\nsub=$http_x_sub\ncookie=$http_cookie\n"; }
    }
END
}

# The usual site: everything is protected, /open is not. `http`, `server`, `location` and `provider` are texts added to each block.
sub site_conf {
    my ($op, %option) = @_;
    my $text = sub { $option{ $_[0] } // '' };
    my $name = $option{name} // 'my_idp';
    my $listen = $option{https} ? "listen 127.0.0.1:%%PORT_site%% ssl; @{[$op->certificate]}" : 'listen 127.0.0.1:%%PORT_site%%;';
    my $auth = $option{auth} // "auth_oidc $name;";
    return provider_conf($op, %option) . $op->tls_front . app_conf() . <<"END";
    @{[$text->('http')]}
    server {
        $listen
        server_name localhost;
        add_header X-Sub \$oidc_claim_sub always;
        @{[$text->('server')]}
        location / {
            $auth
            @{[$text->('location')]}
            proxy_set_header X-Sub \$oidc_claim_sub;
            proxy_pass http://127.0.0.1:%%PORT_app%%;
        }
        location = /open { return 200 "open\\n"; }
    }
END
}

# Starts a provider and an nginx with one protected site. Returns (nginx, provider, browser); the browser is also that of login(),
# get() and post(). `op`: options of the provider; `nginx`: of nginx; https: whether the site is; the rest goes to site_conf.
sub site {
    my (%option) = @_;
    my $op = ref($option{op}) eq 'OIDC::Provider' ? $option{op} : OIDC::Provider->new(%{ $option{op} || {} });
    my $ngx = OIDC::Nginx->new(%{ $option{nginx} || {} }, http => $option{conf} // site_conf($op, %option));
    $ngx->start;
    return ($ngx, $op, $browser = browser($ngx, $op, https => $option{https}));
}

# A browser at the site; it reaches the provider directly, past the TLS front.
sub browser {
    my ($ngx, $op, %option) = @_;
    my $scheme = $option{https} ? 'https' : 'http';
    return OIDC::Browser->new(base => "$scheme://localhost:" . $ngx->port('site'), ca => $op->ca, map => { $op->origin => $op->plain_origin });
}

# The default browser's, with an empty jar: each login is a new visitor's.
sub login { $browser = $browser->fresh; return $browser->login(@_) }
sub get { return $browser->get(@_) }
sub post { return $browser->post(@_) }
sub raw { return $browser->raw(@_) }

# Whether this browser (or the default one) is let in.
sub has_session {
    my ($who, $path) = @_;
    return ($who // $browser)->get($path // '/has_session')->status == 200 ? 1 : 0;
}

sub conf_error { return OIDC::Nginx->conf_error(@_) }
sub conf_warnings { return OIDC::Nginx->conf_warnings(@_) }

# What the curl program gets, for HTTP/2 and the like. Returns a response; certificates are not verified.
sub curl {
    my (@arguments) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        delete @ENV{ grep { /_proxy$/i } keys %ENV };
        open STDERR, '>', '/dev/null';
        exec 'curl', qw(-q -k -s -i --max-time), OIDC::Nginx::patience(), @arguments or POSIX::_exit(127);
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    $text =~ s/\A(?:HTTP\/\S+ 1\d\d.*?\r\n\r\n)+//s;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($line, @lines) = split /\r\n/, $head // '';
    my ($version, $status) = ($line // '') =~ m{^HTTP/(\S+) (\d+)} or return OIDC::Response->new(status => 0, headers => [], body => '');
    return OIDC::Response->new(version => $version, status => $status, body => $body // '', headers => [map { [split /:\s*/, $_, 2] } @lines]);
}

1;
