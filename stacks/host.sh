set -euo pipefail
dnf install -y nginx

# The stock configuration brings a server on port 80 of its own; this one replaces it.
cat > /etc/nginx/nginx.conf <<'NGINX'
user nginx;
worker_processes auto;
pid /run/nginx.pid;
events {}
http {
    # Empty X-Forwarded-* fields, "Connection: close" and the user agent
    # ELB-HealthChecker/2.0 are what a health check looks like.
    log_format probe escape=json
        '{"time":"$time_iso8601","msec":"$msec",'
        '"remote_addr":"$remote_addr","server_addr":"$server_addr","server_port":"$server_port",'
        '"x_forwarded_for":"$http_x_forwarded_for","x_forwarded_port":"$http_x_forwarded_port",'
        '"x_forwarded_proto":"$http_x_forwarded_proto","host":"$host",'
        '"request":"$request","request_method":"$request_method","request_uri":"$request_uri",'
        '"status":$status,"request_length":$request_length,'
        '"body_bytes_sent":$body_bytes_sent,"bytes_sent":$bytes_sent,"request_time":$request_time,'
        '"user_agent":"$http_user_agent","http_connection":"$http_connection","http_accept":"$http_accept",'
        '"connection":"$connection","connection_requests":"$connection_requests",'
        '"tcpinfo_rtt":"$tcpinfo_rtt","tcpinfo_rttvar":"$tcpinfo_rttvar"}';
    access_log /var/log/nginx/access.log probe;
    # Longer than the load balancer's 60 s, or it may send into a closing connection.
    keepalive_timeout 75s;
    server {
        listen 80 default_server;
        default_type text/plain;
        location / { return 200 "OK\n"; }
    }
}
NGINX
systemctl enable --now nginx
