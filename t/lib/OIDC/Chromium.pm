package OIDC::Chromium;

# A site for a real browser, and the scripts of t/browser that visit it.

use strict;
use warnings;

use JSON::PP ();
use OIDC::Nginx;
use OIDC::Real;
use Test::More ();

# nginx before t/real/app.mjs, with the certified provider. To a browser the two are different sites: localhost and 127.0.0.1.
# `oidc` and `server` are texts more for the provider's block and the server's.
sub new {
    my ($class, $scheme, %option) = @_;
    my $self = bless { oidc => '', server => '', %option, certificates => OIDC::Real::certificates(), app => OIDC::Real->app, nginx => OIDC::Nginx->new }, $class;
    $self->{host} = $scheme eq 'https' ? '127.0.0.1' : 'localhost';
    $self->{site} = "$scheme://$self->{host}:" . $self->{nginx}->port('site');
    $self->{provider} = OIDC::Real->provider(redirect_uris => ["$self->{site}/oidc_callback"],
        post_logout_redirect_uris => ["$self->{site}/logout"],
        tls => { key => "$self->{certificates}/server.key", cert => "$self->{certificates}/server.pem" });
    $self->{tls} = $scheme eq 'https';
    $self->{issuer} = $self->{tls} ? $self->{provider}->tls_issuer : $self->{provider}->issuer;
    $self->{nginx}->configure(http => $self->configuration);
    $self->{nginx}->start;
    return $self;
}

sub configuration {
    my ($self) = @_;
    my $provider = $self->{provider}->directives('app', tls => $self->{tls});
    my ($dir, $port) = ($self->{certificates}, $self->{app}->port);
    my @names = ('Google', 'Microsoft', 'Ministerium für Ernährung, Ländlichen Raum und Verbraucherschutz', 'Donaudampfschifffahrtsgesellschaftskapitänsverband',
        'Ελληνική Δημοκρατία', '<b>&amp;</b> "Sons"');
    my $many = join '', map { my $name = $names[$_] =~ s/(["\\])/\\$1/gr; qq(oidc_provider many_$_ { $provider cookie_name MANY_$_; redirect_uri /many_$_; display_name "$name"; }\n) } 0 .. $#names;
    my $listen = $self->{tls} ? ' ssl http2' : '';
    my $tls = $self->{tls} ? "ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key;" : '';
    return <<"END";
oidc_provider my_idp { $provider ssl_trusted_certificate $dir/ca.pem; logout_uri /logout; $self->{oidc} }
oidc_provider another { $provider ssl_trusted_certificate $dir/ca.pem; cookie_name ANOTHER; redirect_uri /another; display_name "Another Provider"; }
${many}oidc_provider absent { issuer https://127.0.0.1:1; client_id x; cookie_name ABSENT; redirect_uri /absent; }
server {
    listen 127.0.0.1:%%PORT_site%%$listen;
    server_name $self->{host};
    $tls
    $self->{server}
    location / {
        auth_oidc my_idp;
        proxy_pass http://127.0.0.1:$port;
        proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_set_header X-User \$oidc_claim_sub;
    }
    location /choice { auth_oidc my_idp another; }
    location /many { auth_oidc many_0 many_1 many_2 many_3 many_4 many_5; }
    location /away { auth_oidc absent; }
    location /open/ { auth_oidc off; proxy_pass http://127.0.0.1:$port; }
    location = /open/worker.js {
        default_type text/javascript;
        return 200 "addEventListener('message', async (event) => { const reply = await fetch('/guarded/worker'); event.source.postMessage(reply.status + (reply.redirected ? ' redirected' : '')); });";
    }
    location /staff { auth_oidc my_idp; auth_oidc_require groups nobody; }
}
END
}

# Runs t/browser/NAME.mjs; `more` are settings of the test's own. Each line "ok - name" or "not ok - name # detail" that it prints becomes a test.
sub visit {
    my ($self, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $script = "$OIDC::Nginx::CHECKOUT/t/browser/$name.mjs";
    my ($spki) = OIDC::Nginx::slurp("$self->{certificates}/spki") =~ /(\S+)/;
    my $settings = JSON::PP->new->utf8->canonical->encode({ site => $self->{site}, issuer => $self->{issuer}, plain => $self->{provider}->issuer, spki => $spki, %{ $self->{more} || {} } });
    my $pid = open my $lines, '-|', 'node', $script, $settings or die "node: $!\n";
    while (defined(my $line = readline $lines)) {
        my ($not, $what, $detail) = $line =~ /^(not )?ok - (.*?)(?: # (.*))?$/ or next;
        Test::More::ok(!$not, "$self->{site} $what") or Test::More::diag($detail // '');
    }
    close $lines;
    Test::More::is($?, 0, "$name.mjs came to its end");
}

sub stop {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->{nginx}->stop;
    $_->stop for @$self{qw(provider app)};
}

1;
