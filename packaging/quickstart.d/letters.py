# SPDX-License-Identifier: LGPL-2.1-or-later
"""What customers write to the support address: the texts of the mail that
quickstart puts into Team/INBOX.

The firm is invented: Nordlicht, a small maker of weather stations and
sensors. {order}, {serial}, {product}, {day}, {amount} and {city} are filled
in by messages.py.
"""

# language: people who write in it: (name, address, how they sign)
PEOPLE = {
    'en': [
        ('Margaret Okafor', 'margaret.okafor@harbourgarden.example', 'Margaret Okafor\nHarbour Garden Centre\n+44 1632 960 118'),
        ('Tom Whitfield', 'tom@whitfield-farm.example', 'Tom'),
        ('Dr. Priya Raman', 'p.raman@meteo.uni-leafield.example', 'Dr. Priya Raman\nDepartment of Geography\nUniversity of Leafield'),
        ("Siobhán O'Neill", "siobhan.o'neill@ballinagh-school.example", "Siobhán O'Neill\nScience teacher, Ballinagh National School"),
        ('Jack Nguyen', 'jack.nguyen@coastwatch.example', 'Cheers,\nJack'),
        ('Aroha Ngata', 'aroha@ngata-orchards.example', 'Ngā mihi,\nAroha Ngata'),
        ('Bill & Susan Hartmann', 'hartmanns@lakeview-cabins.example', 'Bill and Susan Hartmann\nLakeview Cabins'),
        ('Accounts Payable', 'ap@greenfield-estates.example', 'Accounts Payable\nGreenfield Estates Ltd\nRegistered in England no. 00000000'),
    ],
    'de': [
        ('Jürgen Weißmüller', 'j.weissmueller@gaertnerei-weissmueller.example', 'Mit freundlichen Grüßen\nJürgen Weißmüller'),
        ('Katrin Schäfer', 'katrin.schaefer@stadtwerke-moehnetal.example', 'i. A. Katrin Schäfer\nStadtwerke Möhnetal GmbH\nEinkauf'),
        ('Vreni Zürcher', 'vreni@alpbeiz-zuercher.example', 'Liebe Grüsse\nVreni Zürcher'),
        ('Dipl.-Ing. Günther Öxler', 'oexler@buero-oexler.example', 'Dipl.-Ing. Günther Öxler\nBüro für Bauphysik'),
        ('Anneliese Groß', 'anneliese.gross@kleingarten-sonnenhang.example', 'Herzliche Grüße von der Parzelle 14\nAnneliese Groß'),
    ],
    'fr': [
        ('Hélène Lefèvre', 'helene.lefevre@vignoble-lefevre.example', 'Cordialement,\nHélène Lefèvre\nVignoble Lefèvre et Fils'),
        ('François Côté', 'fcote@erabliere-cote.example', 'Merci et bonne journée,\nFrançois Côté'),
        ('Aïcha Benali', 'a.benali@aeroclub-sud.example', 'Aïcha Benali\nAéro-club du Sud'),
        ('Benoît Dœuff', 'benoit@phare-doeuff.example', 'Bien à vous\nBenoît Dœuff'),
    ],
    'es': [
        ('María José Ibáñez', 'mj.ibanez@bodegas-ibanez.example', 'Un saludo,\nMª José Ibáñez'),
        ('Íñigo Etxeberria', 'inigo@surf-etxeberria.example', 'Eskerrik asko,\nÍñigo'),
        ('Lucía Muñoz Peña', 'lucia.munoz@colegio-elroble.example', 'Lucía Muñoz Peña\nColegio El Roble'),
    ],
    'it': [
        ('Niccolò D’Amico', 'niccolo@rifugio-damico.example', 'Cordiali saluti\nNiccolò D’Amico'),
        ('Giulia Bevilacqua', 'g.bevilacqua@comune-vallescura.example', 'Giulia Bevilacqua\nComune di Vallescura, ufficio tecnico'),
    ],
    'nl': [
        ('Sjoerd van der Veen', 'sjoerd@zeilschool-vdveen.example', 'Groetjes,\nSjoerd'),
        ('Anouk de Graaff', 'anouk@kwekerij-degraaff.example', 'Met vriendelijke groet,\nAnouk de Graaff'),
    ],
    'sv': [
        ('Åsa Björklund', 'asa.bjorklund@fjallstugan.example', 'Vänliga hälsningar\nÅsa Björklund'),
        ('Örjan Sjögren', 'orjan@sjogren-lantbruk.example', 'Mvh Örjan'),
    ],
    'pl': [
        ('Łukasz Wiśniewski', 'l.wisniewski@sadywisniewski.example', 'Pozdrawiam\nŁukasz Wiśniewski'),
        ('Małgorzata Dąbrowska', 'malgorzata@szkola-debina.example', 'Z poważaniem\nMałgorzata Dąbrowska'),
    ],
    'cs': [
        ('Zdeněk Dvořák', 'zdenek@vinarstvi-dvorak.example', 'S pozdravem\nZdeněk Dvořák'),
    ],
    'pt': [
        ('João Conceição', 'joao@quinta-conceicao.example', 'Obrigado,\nJoão Conceição'),
        ('Thaís Guimarães', 'thais.guimaraes@cafezal.example', 'Atenciosamente,\nThaís Guimarães'),
    ],
    'ru': [
        ('Ольга Николаевна Соколова', 'sokolova@meteoklub.example', 'С уважением,\nОльга Соколова'),
        ('Дмитрий Кузнецов', 'd.kuznetsov@teplitsa.example', 'Дмитрий'),
    ],
    'uk': [
        ('Ганна Шевчук', 'hanna@shevchuk-ferma.example', 'З повагою,\nГанна Шевчук'),
    ],
    'ja': [
        ('山田 花子', 'hanako.yamada@yamada-chaen.example', '山田茶園\n山田 花子'),
        ('佐藤 健一', 'k.sato@kisho-kenkyu.example', '気象研究会\n佐藤 健一'),
    ],
    'zh-cn': [
        ('王小明', 'wang.xiaoming@chayuan.example', '王小明'),
        ('李静', 'li.jing@nongke.example', '此致\n敬礼\n李静'),
    ],
    'zh-tw': [
        ('陳美玲', 'meiling.chen@guoyuan.example', '陳美玲 敬上'),
    ],
    'ko': [
        ('김지훈', 'jihoon.kim@gwasuwon.example', '김지훈 드림'),
    ],
    'el': [
        ('Γιώργος Παπαδόπουλος', 'giorgos@elaiones.example', 'Με εκτίμηση,\nΓιώργος Παπαδόπουλος'),
    ],
    'tr': [
        ('Ayşe Yıldırım', 'ayse.yildirim@findikbahce.example', 'Saygılarımla,\nAyşe Yıldırım'),
    ],
    'he': [
        ('נועה כהן', 'noa.cohen@mitzpe.example', 'בברכה,\nנועה'),
    ],
    'ar': [
        ('سامي الخطيب', 'sami.khatib@mazraa.example', 'مع التحية،\nسامي الخطيب'),
    ],
}

PRODUCTS = ['Polaris 3', 'Polaris 5 Pro', 'RainCup R2', 'WindEye W1',
            'SoilProbe S4', 'HumiCheck H2', 'LeafWet L1', 'Gateway G7']
CITIES = ['Aberlour', 'Tromsø', 'Graz', 'Brest', 'Cádiz', 'Lecce', 'Hoorn',
          'Umeå', 'Toruń', 'Brno', 'Évora', 'Kotka']

# (language, subject, text, follow-ups). A follow-up is what the customer
# writes after a colleague's answer, which it quotes: (answer, text).
LETTERS = [
    ('en', 'Order {order} arrived with a cracked housing', '''Hello,

our {product} was delivered on {day}, but the housing is cracked right across the battery compartment. The box itself looked fine, so I suspect it left you like that. Photo attached.

Could you send a replacement? We need it before the season opens.''', [
        ('Good morning, I am sorry to hear that. A replacement leaves us tomorrow; please keep the broken one until the courier collects it.',
         'Thank you, that was quick. The courier came today, but he had no label with him and left again. What should I do with the parcel?'),
        ('Please find the label attached as a PDF.',
         'Printed and collected. All sorted, thanks for your patience with me.')]),
    ('en', 'wind readings stuck at 0.0', '''Hi

since the firmware update on {day} the {product} shows 0.0 m/s. I can see the cups turning. Power cycling helps for about an hour. Serial number {serial}.

Is there a way back to the old firmware?''', [
        ('Hi, could you hold the button for ten seconds and tell us what the red light does?',
         'It blinks three times, pauses, then twice. I did that four times and it is always the same pattern.')]),
    ('en', 'Data logger export: which time zone?', '''Dear support team,

in the CSV files that {product} exports the column "time" has no zone. Comparing with our reference station I believe that it is local standard time without daylight saving, but around the end of March there is one hour twice. For a publication we have to be certain.

Could you please confirm, or point me to the documentation?''', [
        ('Hello, it is local time as set in the gateway. We will add the offset in the next version.',
         'Thank you. Could you also tell me whether the ten-minute mean is stamped with the start or the end of the interval? Our students found both in the forum.')]),
    ('en', 'School discount for 12 stations', '''Good morning,

our county has twelve primary schools that would each like a {product}. Do you have an educational price, and could you invoice each school separately? The grant has to be spent by {day}.''', [
        ('Good morning, we can offer 15 % and separate invoices. I only need the addresses.',
         'That is wonderful news! The list of addresses is attached. School number seven has moved, please use the new address in the second sheet.')]),
    ('en', 'Cannot log in since yesterday', '''I can't log in to the portal since yesterday evening. It says "account locked, try again in NaN minutes". I have tried on my phone as well.''', []),
    ('en', 'Re-order of mounting brackets', '''Please send us 6 more of the short brackets (the ones that came with order {order}). Same delivery address, same terms.''', []),
    ('en', 'Invoice for order {order} shows wrong VAT number', '''To whom it may concern

The invoice for the above order states our old VAT number. We can not process payment of {amount} until a corrected invoice is received. Kindly quote PO 77-1043 on all correspondence.''', [
        ('Hello, a corrected invoice is attached.',
         'The corrected invoice has the right VAT number but the PO reference is now missing. Please re-issue. Payment remains on hold.')]),
    ('en', 'question about frost', '''Do I have to take the {product} down in winter? We get about -25 here and the wind is something. My neighbour says his survived but his is older I think.''', []),
    ('en', 'API returns 502 for station {serial}', '''Hello,

GET /v2/stations/{serial}/latest has been returning 502 since about 04:10 UTC for this one station. The others are fine. Our harbour display is dark because of this.

curl output:

< HTTP/1.1 502 Bad Gateway
< retry-after: 30
< x-request-id: 7f0c1b52

Regards''', [
        ('Hi, found and fixed: a stuck worker. Could you check?',
         'Works again, display is up. Could you please put these things on a status page? I only found out because the harbour master rang me at five.')]),
    ('en', 'Refund for returned {product}', '''Hello, I sent the {product} back on {day} (tracking shows delivered). I haven't seen the refund of {amount} yet. Could you check?''', []),
    ('en', 'Compliment', '''Not a question for once. We had 140 km/h in {city} last night and the {product} is still up there sending. The old one from another maker is in the neighbour's pond. Well done.''', []),
    ('en', 'warranty question', '''Bought in a shop in {city}, no invoice any more, only the card statement. Is that enough for the warranty? The display has gone dark after 14 months.''', []),
    ('en', 'Delete my account', '''Please delete my account and all data that you have about me, as is my right, and confirm when that is done. The address is the one I am writing from.''', [
        ('We are sorry to see you go. Please confirm that the station data may be deleted too.',
         'Yes, everything, including the station.')]),
    ('en', 'Spare battery door', '''The little door of the battery compartment on the back of the {product} flew off in the storm. Can I buy only the door? I would rather not buy a whole new unit for a piece of plastic.''', []),
    ('de', 'Reklamation: Regenmesser zählt doppelt', '''Sehr geehrte Damen und Herren,

mein {product} (Seriennummer {serial}) zählt seit dem {day} jede Wippe doppelt. Laut Anzeige hatten wir 84 mm Regen, der Nachbar hat 41 gemessen. Die Reinigung nach Anleitung habe ich schon gemacht.

Was kann ich noch tun, oder soll ich das Gerät einschicken?''', [
        ('Guten Tag, bitte prüfen Sie, ob der Magnet an der Wippe noch fest sitzt.',
         'Der Magnet sitzt fest. Mir ist aber aufgefallen, dass das Kabel kurz vor dem Stecker einen Knick hat. Kann es daran liegen? Ein Foto hängt an.')]),
    ('de', 'Angebot über 40 Bodenfeuchtesensoren', '''Guten Tag,

für die Bewässerung unserer Straßenbäume benötigen wir bis {day} ein Angebot über

- 40 Stück {product}
- 2 Gateways mit LTE
- Einweisung vor Ort in {city}

Bitte mit Angabe der Lieferzeit und der Zahlungsbedingungen. Die Vergabenummer lautet {order}.''', [
        ('Guten Tag, unser Angebot liegt bei.',
         'vielen Dank für das Angebot. Unsere Vergabestelle bittet noch um die Eigenerklärung zur Eignung (Formblatt 124) und um Verlängerung der Bindefrist bis Monatsende.')]),
    ('de', 'Frage zur Montage am Holzmast', '''Hoi zäme

chame de {product} au amene Holzmascht montiere oder bruchts zwingend es Metallrohr? Mir händ uf de Alp nur Holz. Und wie isch das mit em Blitzschutz?''', []),
    ('de', 'Kalibrierschein fehlt', '''Guten Tag,

zu Auftrag {order} fehlt der bestellte Kalibrierschein für {product}, Seriennummer {serial}. Ohne Schein darf ich das Gerät auf der Baustelle nicht einsetzen. Bitte als PDF vorab und im Original nachreichen.''', []),
    ('de', 'Wie stelle ich die Uhr um?', '''Liebes Team,

ich bin 81 und komme mit dem Gerät sonst gut zurecht, aber die Uhr geht seit der Umstellung eine Stunde falsch. In der Anleitung steht "Menü lang drücken", aber welcher Knopf ist denn das Menü? Auf meinem steht nichts mehr drauf.

Vielen Dank für Ihre Mühe!''', [
        ('Guten Tag, es ist der mittlere der drei Knöpfe. Halten Sie ihn fünf Sekunden lang.',
         'Es hat geklappt!! Sie sind ein Schatz. Falls Sie einmal nach Sonnenhang kommen: Es gibt Pflaumenkuchen.')]),
    ('de', 'Rechnung {order}: Skonto', '''Sehr geehrte Damen und Herren,

wir haben den Betrag von {amount} abzüglich 2 % Skonto am {day} überwiesen. Heute erhielten wir eine Mahnung über die Differenz. Bitte prüfen Sie das.''', []),
    ('de', 'Störung: keine Daten seit heute früh', '''Alle drei Stationen (zuletzt {serial}) senden seit 6:20 Uhr nichts mehr. Internet geht. Ist bei Ihnen etwas ausgefallen? Wir haben Frostwarnung für heute Nacht und brauchen die Alarme!''', [
        ('Die Störung ist behoben, bitte starten Sie das Gateway einmal neu.',
         'Zwei sind wieder da, die dritte (am Hang unten) bleibt stumm.')]),
    ('fr', 'Capteur {product} : valeurs aberrantes', '''Bonjour,

Depuis le {day}, notre capteur (n° {serial}) indique une humidité de 127 % au petit matin. Les vendanges approchent et nous pilotons les traitements avec ces données. Pourriez-vous nous dire s’il s’agit d’une panne ou d’un réglage ?''', [
        ('Bonjour, il faut nettoyer le filtre en laiton. La notice est jointe.',
         'J’ai nettoyé le filtre comme indiqué, la valeur est redescendue à 104 %. C’est mieux, mais c’est encore plus que possible, n’est-ce pas ?')]),
    ('fr', 'Facture n° {order}', '''Bonjour,

Nous n'avons pas reçu la facture de notre dernière commande ({amount}). Notre comptable la réclame pour la clôture du {day}. Merci de nous l'envoyer au format PDF.''', []),
    ('fr', 'Livraison à {city} : colis introuvable', '''Allô!

Le transporteur dit avoir livré le colis {order} « à un voisin », mais mon plus proche voisin est à quatre kilomètres et il n'a rien reçu. Pouvez-vous ouvrir une enquête?''', [
        ('Bonjour, le transporteur confirme une erreur. Un nouveau colis part demain.',
         'Le premier colis est finalement arrivé… par le chasse-neige. Je garde lequel?')]),
    ('fr', 'Homologation pour un aérodrome', '''Bonjour, la station {product} est-elle homologuée pour la diffusion de la direction du vent aux pilotes ? La DSAC nous demande un certificat et la classe de précision.''', []),
    ('fr', 'Le phare est dans le noir', '''Bonsoir, l’écran de la {product} ne s’allume plus depuis la tempête. La pile est neuve. Y a-t-il un fusible ? Je peux démonter, j’ai été électricien de marine.''', []),
    ('es', 'Pedido {order}: falta una pieza', '''Buenos días:

Hemos recibido el pedido, pero falta la abrazadera del {product}. En el albarán aparece como enviada. ¿Pueden mandarla por separado? Tenemos la instalación prevista para el {day}.''', [
        ('Buenos días, se la enviamos hoy mismo.',
         '¡Ya llegó! Pero es la de 40 mm y nuestro mástil es de 60. ¿La cambian, por favor?')]),
    ('es', '¿Compatible con el mar?', '''Kaixo, quiero poner un {product} en la caseta de la playa. ¿Aguanta el salitre? ¿Hay versión de acero inoxidable? Gracias.''', []),
    ('es', 'Factura electrónica', '''Estimados señores: necesitamos la factura del pedido {order} ({amount}) en formato Facturae para poder tramitar el pago desde el centro. Muchas gracias.''', []),
    ('it', 'Stazione {product} offline in quota', '''Buongiorno,

la stazione al rifugio (2.480 m) non trasmette più dal {day}. La batteria segna il 12 %. Il pannello solare è coperto di neve, ma fino a febbraio non è possibile salire. Si possono almeno recuperare i dati quando tornerà in linea?''', [
        ('Buongiorno, sì: la stazione conserva sei mesi di misure.',
         'Ottimo, grazie. È tornata in linea da sola con il sole di ieri e i dati ci sono tutti!')]),
    ('it', 'Richiesta di preventivo', '''Spett.le Ditta,

si richiede un preventivo per n. 3 stazioni {product} complete di palo e installazione, da inviare entro il {day}. Si prega di indicare il codice CIG {order} in ogni comunicazione.''', []),
    ('nl', 'Windmeter piept', '''Hoi,

sinds gisteren piept de {product} bij elke windvlaag. Niet in de app, maar het ding zelf! De cursisten vinden het grappig, ik niet meer. Serienummer {serial}.''', [
        ('Hoi, dat is het lager. Een druppel siliconenolie helpt, geen WD-40.',
         'Oeps. Het wás WD-40. Heb je een nieuw lager voor me?')]),
    ('nl', 'Bestelling {order} wijzigen', '''Goedemiddag, kan ik in bestelling {order} de kleur nog wijzigen van groen naar wit? En graag leveren na {day}, want we zijn dan terug van vakantie.''', []),
    ('sv', 'Snödjup i appen', '''Hej!

Appen visar snödjup 3 412 cm på fjällstugan. Det känns lite mycket även för oss. Givaren är {product}, serienummer {serial}. Går det att nollställa på distans?''', [
        ('Hej, nu är den nollställd.',
         'Tack! Nu visar den -2 cm, men det kan jag leva med. :-)')]),
    ('sv', 'Faktura {order}', '''Hej, vi har fått två fakturor på samma order. Vilken ska vi betala? Beloppet är {amount} på båda.''', []),
    ('pl', 'Reklamacja czujnika {product}', '''Dzień dobry,

czujnik o numerze {serial} od {day} pokazuje temperaturę o około 6 stopni za wysoką. Porównywałem z dwoma innymi termometrami. Proszę o informację, jak złożyć reklamację. Zdjęcia w załączniku.''', [
        ('Dzień dobry, proszę przesłać czujnik na nasz adres, wymienimy go.',
         'Wysłałem dziś paczką, numer w załączniku. Czy mogę prosić o urządzenie zastępcze na czas przymrozków?')]),
    ('pl', 'Faktura korygująca', '''Proszę o fakturę korygującą do zamówienia {order}: błędny NIP nabywcy. Kwota {amount} bez zmian.''', []),
    ('cs', 'Dotaz k vlhkoměru', '''Dobrý den,

je možné připojit {product} k bráně starší verze? Na krabici je uvedeno „vyžaduje G7“, ale prodejce tvrdil opak. Děkuji za odpověď.''', []),
    ('pt', 'Encomenda {order} parada na alfândega', '''Boa tarde,

a encomenda está há oito dias na alfândega e pedem uma factura comercial com o código pautal do {product}. Podem enviá-la, por favor?''', [
        ('Boa tarde, segue a factura comercial em anexo.',
         'Obrigado! Já foi libertada. Chega no dia {day}.')]),
    ('pt', 'Estação não conecta', '''Olá, a {product} não conecta no Wi-Fi novo do cafezal. A senha tem acentuação (ç e ã). Será que é isso?''', []),
    ('ru', 'Не приходит подтверждение заказа {order}', '''Здравствуйте!

Оплатили заказ {order} {day}, деньги списаны ({amount}), а подтверждения нет. Проверьте, пожалуйста, дошёл ли платёж, и когда ждать отправку {product}.''', [
        ('Здравствуйте, платёж получен, отправка завтра.',
         'Спасибо! Посылка пришла, но вместо белой станции в коробке зелёная. Оставим её, если вы сделаете скидку :)')]),
    ('ru', 'Вопрос по датчику', '''Добрый день. Можно ли удлинить кабель датчика {product} до 30 метров? В инструкции написано не больше десяти. Теплица длинная.''', []),
    ('uk', 'Гарантійний ремонт', '''Доброго дня!

Станція {serial} перестала бачити датчик опадів. Куди надсилати на гарантійний ремонт? Куплено {day}, чек є.''', []),
    ('ja', '霜警報について', '''お世話になっております。

{product}（製造番号 {serial}）の霜警報が、気温5度でも鳴ります。設定は2度のままです。茶園の防霜ファンと連動しているため、電気代がかさんで困っております。

設定方法をご教示いただけますでしょうか。''', [
        ('お問い合わせありがとうございます。ファームウェアを更新してください。',
         '更新したところ、正しく動作するようになりました。迅速なご対応に感謝いたします。')]),
    ('ja', '見積書のご依頼', '''はじめてご連絡いたします。

{product} 5台の見積書をPDFでお送りいただけますでしょうか。納期は{day}を希望しております。何卒よろしくお願いいたします。''', []),
    ('zh-cn', '关于订单 {order} 的发货时间', '''您好：

我们在{day}下的订单至今没有发货信息。茶园春茶采摘在即，急需 {product} 监测霜冻。请问什么时候可以发货？''', [
        ('您好，订单已于今天发出。', '已收到，谢谢！请问说明书有中文版吗？')]),
    ('zh-cn', '传感器数据异常', '''您好，编号 {serial} 的土壤湿度传感器一直显示 0%，重新插拔后仍然如此。附件是最近一周的数据，请帮忙看一下。''', []),
    ('zh-tw', '保固期間詢問', '''您好，我們果園的 {product} 購買已滿一年，最近雨量計不太準確。請問保固期間是多久？需要寄回檢測嗎？謝謝。''', []),
    ('ko', '{product} 설치 문의', '''안녕하세요.

과수원에 {product}를 설치하려고 합니다. 지붕 위와 지상 2미터 중 어디가 더 좋을까요? 주변에 4미터 높이의 방풍망이 있습니다.''', []),
    ('el', 'Ερώτηση για τον αισθητήρα', '''Καλησπέρα σας,

ο αισθητήρας {product} δείχνει πάντα βόρειο άνεμο. Μήπως πρέπει να γίνει κάποια ρύθμιση μετά την τοποθέτηση; Σας ευχαριστώ πολύ.''', []),
    ('tr', 'Sipariş {order} hakkında', '''Merhaba,

{day} tarihinde verdiğim siparişin kargo takip numarasını alamadım. Fındık hasadı başlamadan istasyonu kurmak istiyoruz. Yardımcı olabilir misiniz?''', []),
    ('he', 'שאלה על תחנת מזג האוויר', '''שלום,

האם אפשר לחבר את {product} למערכת השקיה קיימת? אנחנו צריכים שההשקיה תיעצר כשיורד גשם. תודה!''', []),
    ('ar', 'استفسار عن الضمان', '''السلام عليكم،

اشتريت محطة {product} رقم {serial} وتوقفت الشاشة عن العمل بعد عاصفة رملية. هل يشمل الضمان هذه الحالة؟ شكراً لكم.''', []),
]

# The charsets that mail programs of these languages are or were known for.
CHARSETS = {
    'en': ['us-ascii', 'utf-8', 'windows-1252', 'iso-8859-1'],
    'de': ['iso-8859-1', 'utf-8', 'windows-1252', 'iso-8859-15'],
    'fr': ['utf-8', 'windows-1252', 'iso-8859-15'],
    'es': ['iso-8859-1', 'utf-8'],
    'it': ['utf-8', 'windows-1252'],
    'nl': ['utf-8', 'iso-8859-1'],
    'sv': ['iso-8859-1', 'utf-8'],
    'pl': ['iso-8859-2', 'utf-8'],
    'cs': ['windows-1250', 'iso-8859-2'],
    'pt': ['iso-8859-1', 'utf-8'],
    'ru': ['koi8-r', 'windows-1251', 'utf-8'],
    'uk': ['koi8-u', 'utf-8'],
    'ja': ['iso-2022-jp', 'shift_jis', 'euc-jp', 'utf-8'],
    'zh-cn': ['gb18030', 'gb2312', 'utf-8'],
    'zh-tw': ['big5', 'utf-8'],
    'ko': ['euc-kr', 'utf-8'],
    'el': ['iso-8859-7', 'utf-8'],
    'tr': ['iso-8859-9', 'utf-8'],
    'he': ['windows-1255', 'utf-8'],
    'ar': ['windows-1256', 'utf-8'],
}

CLIENTS = [
    ('User-Agent', 'Mozilla Thunderbird'),
    ('X-Mailer', 'Apple Mail (2.3774.600.62)'),
    ('X-Mailer', 'Microsoft Outlook 16.0'),
    ('User-Agent', 'Roundcube Webmail/1.6.5'),
    ('User-Agent', 'NeoMutt/20220429'),
    ('X-Mailer', 'iPhone Mail (21F90)'),
    ('User-Agent', 'K-9 Mail for Android'),
    ('X-Mailer', 'The Bat! 10.5'),
    ('User-Agent', 'Alpine 2.26 (DEB 649 2022-06-02)'),
    ('X-Mailer', 'Becky! ver. 2.81.06 [ja]'),
]
